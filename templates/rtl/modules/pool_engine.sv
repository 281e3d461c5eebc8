// SPDX-License-Identifier: MIT-0
// Line engine of a pooling: feed, PE lanes of maximum or sum, for the average a requantize, and an output queue.
//
// STREAMING: windows read every pixel once and in order. So only partial results are kept, in block RAM with
// BLOCK_BUFFER.
// FILL: the value of inputs outside the map in an average. OFFSET: rounding and zero points, see requantize.sv.
// COUNTS > 1: padding does not count in an average. The 32 bits n of MULTIPLIERS scale windows with n positions in the
// map, and their offset is OFFSET + ADDED * multiplier.
//
// Needs OY * OX * ceil(C/PE) * FY * FX cycles an image while input is there and output is taken. With STREAMING it
// needs as many as there are words.
module pool_engine
  import codesign_pkg::*;
#(
  parameter int C = 1,
  parameter int IY = 1,
  parameter int IX = 1,
  parameter int OY = 1,
  parameter int OX = 1,
  parameter int FY = 1,
  parameter int FX = 1,
  parameter int STRIDE_Y = 1,
  parameter int STRIDE_X = 1,
  parameter int PAD_TOP = 0,
  parameter int PAD_LEFT = 0,
  parameter bit AVERAGE = 0,
  parameter int PE = 1,
  parameter int EMIT = 1,
  parameter bit STREAMING = 0,
  parameter int BUFFER_DEPTH = 16,
  parameter bit BLOCK_BUFFER = 0,
  parameter int QUEUE_DEPTH = 16,
  parameter int X_BITS = 8,
  parameter bit X_SIGNED = 0,
  parameter int ACC_BITS = 8,
  parameter int SCALING = 0,
  parameter int MULTIPLIER_BITS = 1,
  parameter int MULTIPLIER = 1,
  parameter int SUM_BITS = 12,
  parameter int SHIFT = 0,
  parameter int OUT_BITS = 8,
  parameter bit OUT_SIGNED = 0,
  parameter int DILATION_Y = 1,
  parameter int DILATION_X = 1,
  parameter int FILL = 0,
  parameter longint OFFSET = (SHIFT == 0) ? 64'sd0 : 64'sd1 << (SHIFT - 1),
  parameter int COUNTS = 1,
  parameter logic [32*COUNTS-1:0] MULTIPLIERS = {COUNTS{32'd0}},
  parameter int ADDED = 0,
  parameter bit CUT = 0,
  parameter int TIES = 0,
  parameter int LOWEST = OUT_SIGNED ? -(1 << (OUT_BITS - 1)) : 0,
  parameter int HIGHEST = (1 << (OUT_SIGNED ? OUT_BITS - 1 : OUT_BITS)) - 1
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic [PE-1:0][X_BITS-1:0]      data_i,
  input  logic                           valid_i,
  output logic                           ready_o,
  output logic [EMIT-1:0][OUT_BITS-1:0]  data_o,
  output logic                           valid_o,
  input  logic                           ready_i
);

  localparam int Passes = ceil_div(C, PE);

  logic go, take, result_valid;
  logic [PE-1:0][ACC_BITS-1:0] result;
  logic [counter_bits(COUNTS)-1:0] count;
  localparam bit Keep = AVERAGE && SCALING == 2 && PE == EMIT;

  if (STREAMING) begin : g_running
    running_pool #(
      .PE(PE), .FOLD(Passes), .PIXELS(IY * IX / (OY * OX)), .AVERAGE(AVERAGE), .X_BITS(X_BITS), .X_SIGNED(X_SIGNED),
      .ACC_BITS(ACC_BITS), .BLOCK(BLOCK_BUFFER), .KEEP(Keep)
    ) u_array (
      .clk_i, .rst_ni, .data_i, .valid_i, .ready_o,
      .go_i(go),
      .take_o(take),
      .valid_o(result_valid),
      .acc_o(result)
    );
    assign count = '0;
  end else begin : g_windows
    logic [PE-1:0][X_BITS-1:0] word_in, fed;
    logic issue, pad, in_valid, in_first, in_last, fed_valid, fed_first, fed_last, fed_pad;
    line_buffer #(
      .WORD_BITS(PE * X_BITS),
      .FOLD(Passes),
      .IY(IY), .IX(IX), .OY(OY), .OX(OX), .FY(FY), .FX(FX),
      .STRIDE_Y(STRIDE_Y), .STRIDE_X(STRIDE_X), .PAD_TOP(PAD_TOP), .PAD_LEFT(PAD_LEFT),
      .DILATION_Y(DILATION_Y), .DILATION_X(DILATION_X),
      .GROUPS(Passes),
      .PASSES(1),
      .DEPTH(BUFFER_DEPTH),
      .BLOCK_RAM(BLOCK_BUFFER),
      .FILL({PE{X_BITS'(FILL)}})
    ) u_feed (
      .clk_i, .rst_ni, .data_i, .valid_i, .ready_o,
      .go_i(go),
      .issue_o(issue),
      .take_o(take),
      .data_o(word_in),
      .valid_o(in_valid),
      .first_o(in_first),
      .last_o(in_last),
      .pad_o(pad)
    );
    feed_register #(
      .WORD_BITS(PE * X_BITS), .LATE(BLOCK_BUFFER)
    ) u_feed_register (
      .clk_i, .rst_ni,
      .data_i(word_in), .valid_i(in_valid), .first_i(in_first), .last_i(in_last), .pad_i(pad),
      .data_o(fed), .valid_o(fed_valid), .first_o(fed_first), .last_o(fed_last), .pad_o(fed_pad)
    );
    pool_array #(
      .PE(PE), .AVERAGE(AVERAGE), .X_BITS(X_BITS), .X_SIGNED(X_SIGNED), .ACC_BITS(ACC_BITS),
      .COUNTS(COUNTS), .KEEP(Keep)
    ) u_array (
      .clk_i, .rst_ni,
      .valid_i(fed_valid),
      .first_i(fed_first),
      .last_i(fed_last),
      .pad_i(fed_pad),
      .x_i(fed),
      .valid_o(result_valid),
      .acc_o(result),
      .count_o(count)
    );
    logic unused_issue;
    assign unused_issue = &{1'b0, issue};
  end

  logic word_valid;
  logic [EMIT-1:0][ACC_BITS-1:0] word;
  collector #(
    .PE(PE), .EMIT(EMIT), .K(C), .BITS(ACC_BITS)
  ) u_collector (
    .clk_i, .rst_ni,
    .valid_i(result_valid),
    .data_i(result),
    .valid_o(word_valid),
    .data_o(word)
  );

  logic out_valid;
  logic [EMIT-1:0][OUT_BITS-1:0] out;
  if (AVERAGE) begin : g_average
    logic [MULTIPLIER_BITS-1:0] multiplier;
    logic [SUM_BITS-1:0] offset;
    if (COUNTS > 1) begin : g_counted
      logic [counter_bits(COUNTS)-1:0] word_count;
      if (PE == EMIT) begin : g_wire
        assign word_count = count;
      end else begin : g_held
        always_ff @(posedge clk_i) begin
          if (result_valid) word_count <= count;
        end
      end
      // A table of constants.
      always_comb begin
        multiplier = '0;
        offset     = '0;
        for (int n = 0; n < COUNTS; n++) begin
          if (word_count == (counter_bits(COUNTS))'(n)) begin
            multiplier = MULTIPLIER_BITS'(MULTIPLIERS[32*n+:32]);
            offset     = SUM_BITS'(OFFSET + 64'(ADDED) * $signed({32'd0, MULTIPLIERS[32*n+:32]}));
          end
        end
      end
    end else begin : g_constant
      assign multiplier = MULTIPLIER_BITS'(MULTIPLIER);
      assign offset     = SUM_BITS'(OFFSET);
    end
    requantize #(
      .LANES(EMIT), .ACC_BITS(ACC_BITS), .SCALING(SCALING), .MULTIPLIER_BITS(MULTIPLIER_BITS),
      .SUM_BITS(SUM_BITS), .SHIFT(SHIFT), .OUT_BITS(OUT_BITS), .OUT_SIGNED(OUT_SIGNED),
      .CONSTANT(COUNTS <= 1), .CUT(CUT), .TIES(TIES), .LOWEST(LOWEST), .HIGHEST(HIGHEST)
    ) u_requantize (
      .clk_i, .rst_ni,
      .valid_i(word_valid),
      .acc_i(word),
      .multiplier_i({EMIT{multiplier}}),
      .offset_i({EMIT{offset}}),
      .valid_o(out_valid),
      .data_o(out)
    );
  end else begin : g_maximum
    for (genvar i = 0; i < EMIT; i++) begin : g_lane
      assign out[i] = OUT_BITS'(word[i]);
    end
    assign out_valid = word_valid;
  end

  output_queue #(
    .K(C), .PE(PE), .EMIT(EMIT), .WORD_BITS(EMIT * OUT_BITS), .DEPTH(QUEUE_DEPTH)
  ) u_queue (
    .clk_i, .rst_ni,
    .take_i(take),
    .go_o(go),
    .data_i(out),
    .valid_i(out_valid),
    .data_o, .valid_o, .ready_i
  );

  logic unused;
  assign unused = &{1'b0, count};

endmodule
