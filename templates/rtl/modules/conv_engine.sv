// SPDX-License-Identifier: MIT-0
// Line engine of a convolution: feed, weights, PE x SIMD multiply-accumulate, requantize, output queue.
//
// Only the feed ever waits: for a word, and in front of the last step of a result for a place in the output queue.
// Needs OY * OX * ceil(K/PE) * FY * FX * ceil(C/GROUPS/SIMD) cycles an image while input is there and output is taken.
// TAPS = FY: a step takes all rows of the window at one column; it needs FY times the multipliers and a part of the time.
// With GROUPS > 1, PE divides K/GROUPS and SIMD divides C/GROUPS; or, DEPTHWISE, each of PE lanes has its own channel.
// STREAMING: every input word is used once and in order, so no line buffer is needed.
// CHAIN > 0: two output channels share each DSP; CHAIN and FIELD are packed_array's.
// LOADED: weights and channel constants come over load buses while the engine is in reset, see weight_loader.sv.
// FILL: what inputs outside the map are. BIAS_FRACTION: bits of an offset below the step of a sum.
module conv_engine
  import codesign_pkg::*;
#(
  parameter int C = 1,
  parameter int K = 1,
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
  parameter int GROUPS = 1,
  parameter bit DEPTHWISE = 0,
  parameter int PE = 1,
  parameter int SIMD = 1,
  parameter int EMIT = 1,
  parameter bit STREAMING = 0,
  parameter int BUFFER_DEPTH = 16,
  parameter bit BLOCK_BUFFER = 0,
  parameter bit BLOCK_ROM = 0,
  parameter int QUEUE_DEPTH = 16,
  parameter bit USE_DSP = 1,
  parameter int CHAIN = 0,
  parameter int FIELD = 17,
  parameter int X_BITS = 8,
  parameter bit X_SIGNED = 0,
  parameter int W_BITS = 8,
  parameter int ACC_BITS = 24,
  parameter int SCALING = 0,
  parameter int MULTIPLIER_BITS = 1,
  parameter int SUM_BITS = 26,
  parameter int SHIFT = 8,
  parameter int OUT_BITS = 8,
  parameter bit OUT_SIGNED = 0,
  parameter int DILATION_Y = 1,
  parameter int DILATION_X = 1,
  parameter int FILL = 0,
  parameter int BIAS_FRACTION = 0,
  parameter bit CUT = 0,
  parameter int TIES = 0,
  parameter int TAPS = 1,
  parameter int LOWEST = OUT_SIGNED ? -(1 << (OUT_BITS - 1)) : 0,
  parameter int HIGHEST = (1 << (OUT_SIGNED ? OUT_BITS - 1 : OUT_BITS)) - 1,
  parameter bit LOADED = 0,
  parameter WEIGHT_FILE = "weights.hex",
  parameter CHANNEL_FILE = "channels.hex"
) (
  input  logic                                               clk_i,
  input  logic                                               rst_ni,
  input  logic [33:0]                                        weight_load_i,
  input  logic [33:0]                                        channel_load_i,
  input  logic [(DEPTHWISE ? PE : SIMD)-1:0][X_BITS-1:0]     data_i,
  input  logic                                               valid_i,
  output logic                                               ready_o,
  output logic [EMIT-1:0][OUT_BITS-1:0]                      data_o,
  output logic                                               valid_o,
  input  logic                                               ready_i
);

  localparam int InLanes = DEPTHWISE ? PE : SIMD;
  localparam int Fold = ceil_div(C, InLanes);
  localparam int Passes = ceil_div(K, PE);
  localparam int FeedGroups = DEPTHWISE ? Fold : GROUPS;
  localparam int Steps = FY / TAPS * FX * (Fold / FeedGroups);
  localparam int Operands = TAPS * SIMD;  // of each PE
  // Weights that never change need no DSP: products with constants are a few additions.
  localparam bit UseDsp = USE_DSP && Passes * Steps > 1;

  // A block RAM has an output register: then weights and inputs both come two cycles after their step.
  localparam int MaxShallow = 16;  // so few words of weights are not worth a block RAM: a LUT a bit at most
  localparam bit BlockRom = BLOCK_ROM && Passes * Steps > MaxShallow;
  localparam bit Late = BlockRom || (BLOCK_BUFFER && !STREAMING && TAPS == 1);

  logic [TAPS*InLanes-1:0][X_BITS-1:0] word_in, x;
  logic go, issue, take, pad, in_valid, in_first, in_last, fed_valid, fed_first, fed_last, fed_pad;

  if (STREAMING) begin : g_stream
    pass_feed #(
      .WORD_BITS(InLanes * X_BITS),
      .STEPS(Steps)
    ) u_feed (
      .clk_i, .rst_ni, .data_i, .valid_i, .ready_o,
      .go_i(go),
      .issue_o(issue),
      .take_o(take),
      .data_o(word_in),
      .valid_o(in_valid),
      .first_o(in_first),
      .last_o(in_last)
    );
    assign pad = 1'b0;
  end else if (TAPS > 1) begin : g_rows
    logic [TAPS-1:0][InLanes-1:0][X_BITS-1:0] fed;
    row_buffer #(
      .WORD_BITS(InLanes * X_BITS),
      .FOLD(Fold),
      .IY(IY), .IX(IX), .OY(OY), .OX(OX), .FY(FY), .FX(FX),
      .STRIDE_Y(STRIDE_Y), .STRIDE_X(STRIDE_X), .PAD_TOP(PAD_TOP), .PAD_LEFT(PAD_LEFT),
      .DILATION_X(DILATION_X),
      .GROUPS(FeedGroups),
      .PASSES(Passes / FeedGroups),
      .BANKS(BUFFER_DEPTH / (IX * Fold)),
      .BLOCK_RAM(BLOCK_BUFFER),
      .FILL({InLanes{X_BITS'(FILL)}})
    ) u_feed (
      .clk_i, .rst_ni, .data_i, .valid_i, .ready_o,
      .go_i(go),
      .issue_o(issue),
      .take_o(take),
      .data_o(fed),
      .valid_o(in_valid),
      .first_o(in_first),
      .last_o(in_last)
    );
    for (genvar f = 0; f < TAPS; f++) begin : g_tap
      for (genvar i = 0; i < InLanes; i++) begin : g_lane
        assign word_in[DEPTHWISE ? i * TAPS + f : f * InLanes + i] = fed[f][i];
      end
    end
    assign pad = 1'b0;
  end else begin : g_line
    line_buffer #(
      .WORD_BITS(InLanes * X_BITS),
      .FOLD(Fold),
      .IY(IY), .IX(IX), .OY(OY), .OX(OX), .FY(FY), .FX(FX),
      .STRIDE_Y(STRIDE_Y), .STRIDE_X(STRIDE_X), .PAD_TOP(PAD_TOP), .PAD_LEFT(PAD_LEFT),
      .DILATION_Y(DILATION_Y), .DILATION_X(DILATION_X),
      .GROUPS(FeedGroups),
      .PASSES(Passes / FeedGroups),
      .DEPTH(BUFFER_DEPTH),
      .BLOCK_RAM(BLOCK_BUFFER),
      .FILL({InLanes{X_BITS'(FILL)}})
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
  end
  feed_register #(
    .WORD_BITS(TAPS * InLanes * X_BITS), .LATE(Late)
  ) u_feed_register (
    .clk_i, .rst_ni,
    .data_i(word_in), .valid_i(in_valid), .first_i(in_first), .last_i(in_last), .pad_i(pad),
    .data_o(x), .valid_o(fed_valid), .first_o(fed_first), .last_o(fed_last), .pad_o(fed_pad)
  );

  logic [PE-1:0][Operands-1:0][W_BITS-1:0] weights;
  weight_rom #(
    .WORD_BITS(PE * Operands * W_BITS),
    .DEPTH(Passes * Steps),
    .BLOCK_ROM(BlockRom),
    .LATE(Late),
    .LOADED(LOADED),
    .FILE(WEIGHT_FILE)
  ) u_weights (
    .clk_i, .rst_ni,
    .issue_i(issue),
    .load_i(weight_load_i),
    .data_o(weights)
  );

  logic result_valid;
  logic [PE-1:0][ACC_BITS-1:0] result;
  if (CHAIN > 0) begin : g_packed
    packed_array #(
      .PE(PE), .SIMD(Operands),
      .X_BITS(X_BITS), .X_SIGNED(X_SIGNED), .W_BITS(W_BITS), .ACC_BITS(ACC_BITS), .CHAIN(CHAIN), .FIELD(FIELD),
      .KEEP(SCALING == 2 && PE == EMIT)
    ) u_array (
      .clk_i, .rst_ni,
      .valid_i(fed_valid),
      .first_i(fed_first),
      .last_i(fed_last),
      .x_i(x),
      .w_i(weights),
      .valid_o(result_valid),
      .acc_o(result)
    );
  end else begin : g_single
    mac_array #(
      .PE(PE), .SIMD(Operands), .CHANNELWISE(DEPTHWISE),
      .X_BITS(X_BITS), .X_SIGNED(X_SIGNED), .W_BITS(W_BITS), .ACC_BITS(ACC_BITS), .USE_DSP(UseDsp),
      .KEEP(SCALING == 2 && PE == EMIT)
    ) u_array (
      .clk_i, .rst_ni,
      .valid_i(fed_valid),
      .first_i(fed_first),
      .last_i(fed_last),
      .x_i(x),
      .w_i(weights),
      .valid_o(result_valid),
      .acc_o(result)
    );
  end

  logic word_valid;
  logic [EMIT-1:0][ACC_BITS-1:0] word;
  collector #(
    .PE(PE), .EMIT(EMIT), .K(K), .BITS(ACC_BITS)
  ) u_collector (
    .clk_i, .rst_ni,
    .valid_i(result_valid),
    .data_i(result),
    .valid_o(word_valid),
    .data_o(word)
  );

  // What is loaded has no factors where sums are only shifted.
  localparam int FactorBits = (LOADED && SCALING == 0) ? 0 : MULTIPLIER_BITS;
  localparam int OffsetBits = EMIT * SUM_BITS;
  logic [EMIT*FactorBits+OffsetBits-1:0] constants;
  logic [EMIT-1:0][MULTIPLIER_BITS-1:0] multiplier;
  logic [EMIT-1:0][SUM_BITS-1:0] offset;
  assign offset = constants[OffsetBits-1:0];
  if (FactorBits == 0) begin : g_no_factors
    assign multiplier = '0;
  end else begin : g_factors
    assign multiplier = constants[OffsetBits+:EMIT*MULTIPLIER_BITS];
  end
  channel_rom #(
    .WORD_BITS(EMIT * FactorBits + OffsetBits),
    .DEPTH(ceil_div(K, EMIT)),
    .LOADED(LOADED),
    .FILE(CHANNEL_FILE)
  ) u_channels (
    .clk_i, .rst_ni,
    .next_i(word_valid),
    .load_i(channel_load_i),
    .data_o(constants)
  );

  localparam int FineBits = ACC_BITS + BIAS_FRACTION;
  logic [EMIT-1:0][FineBits-1:0] fine;
  for (genvar i = 0; i < EMIT; i++) begin : g_fine
    assign fine[i] = FineBits'(word[i]) << BIAS_FRACTION;
  end

  logic scaled_valid;
  logic [EMIT-1:0][OUT_BITS-1:0] scaled;
  requantize #(
    .LANES(EMIT), .ACC_BITS(FineBits), .SCALING(SCALING), .MULTIPLIER_BITS(MULTIPLIER_BITS),
    .SUM_BITS(SUM_BITS), .SHIFT(SHIFT), .OUT_BITS(OUT_BITS), .OUT_SIGNED(OUT_SIGNED),
    .CUT(CUT), .TIES(TIES), .LOWEST(LOWEST), .HIGHEST(HIGHEST)
  ) u_requantize (
    .clk_i, .rst_ni,
    .valid_i(word_valid),
    .acc_i(fine),
    .multiplier_i(multiplier),
    .offset_i(offset),
    .valid_o(scaled_valid),
    .data_o(scaled)
  );

  output_queue #(
    .K(K), .PE(PE), .EMIT(EMIT), .WORD_BITS(EMIT * OUT_BITS), .DEPTH(QUEUE_DEPTH)
  ) u_queue (
    .clk_i, .rst_ni,
    .take_i(take),
    .go_o(go),
    .data_i(scaled),
    .valid_i(scaled_valid),
    .data_o, .valid_o, .ready_i
  );

  logic unused;
  assign unused = &{1'b0, fed_pad};

endmodule
