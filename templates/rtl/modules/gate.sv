// SPDX-License-Identifier: MIT-0
// Elementwise y = clamp((a * b * MULTIPLIER + half) >>> SHIFT) over PE lanes, three or four cycles a word.
//
// Input 0 is a, input 1 is b. With REPEAT > 1, b is one pixel of FOLD words an image: it is taken beside the first pixel
// of a, and kept for the REPEAT - 1 others. SCALING and MULTIPLIER are those of requantize.
module gate
  import codesign_pkg::*;
#(
  parameter int PE = 1,
  parameter int FOLD = 1,
  parameter int REPEAT = 1,
  parameter int A_BITS = 8,
  parameter bit A_SIGNED = 0,
  parameter int B_BITS = 8,
  parameter bit B_SIGNED = 0,
  parameter bit USE_DSP = 1,
  parameter int ACC_BITS = 17,
  parameter int SCALING = 0,
  parameter int MULTIPLIER_BITS = 1,
  parameter int MULTIPLIER = 0,
  parameter int SUM_BITS = 17,
  parameter int SHIFT = 8,
  parameter int OUT_BITS = 8,
  parameter bit OUT_SIGNED = 0
) (
  input  logic                               clk_i,
  input  logic                               rst_ni,
  input  logic [PE*A_BITS+PE*B_BITS-1:0]     data_i,
  input  logic [1:0]                         valid_i,
  output logic [1:0]                         ready_o,
  output logic [PE-1:0][OUT_BITS-1:0]        data_o,
  output logic                               valid_o,
  input  logic                               ready_i
);

  logic [PE-1:0][A_BITS-1:0] a;
  logic [PE-1:0][B_BITS-1:0] b_in, b;
  assign {b_in, a} = data_i;

  logic ready, accept, fresh, valid_q;
  assign accept  = ready && valid_i[0] && (valid_i[1] || !fresh);
  assign ready_o = {accept && fresh, accept};

  if (REPEAT == 1) begin : g_all
    assign fresh = 1'b1;
    assign b     = b_in;
  end else begin : g_kept
    localparam int WordBits = counter_bits(FOLD);
    localparam int PixelBits = counter_bits(REPEAT);
    logic [PE-1:0][B_BITS-1:0] kept;
    logic [PixelBits-1:0] pixel_q;
    logic last_word;
    assign fresh = pixel_q == '0;
    assign b     = fresh ? b_in : kept;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) pixel_q <= '0;
      else if (accept && last_word) pixel_q <= pixel_q == PixelBits'(REPEAT - 1) ? '0 : pixel_q + 1'b1;
    end
    if (FOLD == 1) begin : g_one
      assign last_word = 1'b1;
      always_ff @(posedge clk_i) begin
        if (accept && fresh) kept <= b_in;
      end
    end else begin : g_many
      logic [WordBits-1:0] word_q;
      assign last_word = word_q == WordBits'(FOLD - 1);
      always_ff @(posedge clk_i) begin
        if (!rst_ni) word_q <= '0;
        else if (accept) word_q <= last_word ? '0 : word_q + 1'b1;
      end
      (* ram_style = "distributed" *)
      logic [PE*B_BITS-1:0] memory[FOLD];
      always_ff @(posedge clk_i) begin
        if (accept && fresh) memory[word_q] <= b_in;
      end
      assign kept = memory[word_q];
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else if (ready) valid_q <= accept;
  end

  localparam int FactorBits = B_BITS + 1 - int'(B_SIGNED);  // an unsigned gate becomes signed by a leading zero
  localparam int ProductBits = A_BITS + 1 - int'(A_SIGNED) + FactorBits;
  logic [PE-1:0][ACC_BITS-1:0] product;
  for (genvar p = 0; p < PE; p++) begin : g_lane
    logic [FactorBits-1:0] factor;
    logic signed [ProductBits-1:0] wide;
    logic unused;  // two unsigned operands leave a bit above the product
    assign unused = &{1'b0, wide};
    assign factor     = FactorBits'(b[p]);
    assign product[p] = ACC_BITS'(wide);
    multiply #(
      .X_BITS(A_BITS), .X_SIGNED(A_SIGNED), .W_BITS(FactorBits), .USE_DSP(USE_DSP)
    ) u_multiply (
      .clk_i,
      .enable_i(ready),
      .x_i(a[p]),
      .w_i(factor),
      .product_o(wide)
    );
  end

  localparam logic [SUM_BITS-1:0] Half = (SHIFT == 0) ? '0 : SUM_BITS'(64'd1 << (SHIFT - 1));
  requantize #(
    .LANES(PE), .ACC_BITS(ACC_BITS), .SCALING(SCALING), .MULTIPLIER_BITS(MULTIPLIER_BITS),
    .SUM_BITS(SUM_BITS), .SHIFT(SHIFT), .OUT_BITS(OUT_BITS), .OUT_SIGNED(OUT_SIGNED)
  ) u_requantize (
    .clk_i, .rst_ni,
    .valid_i(valid_q),
    .ready_o(ready),
    .acc_i(product),
    .multiplier_i({PE{MULTIPLIER_BITS'(MULTIPLIER)}}),
    .offset_i({PE{Half}}),
    .valid_o, .ready_i, .data_o
  );

`ifndef SYNTHESIS
  longint steps;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) steps <= 0;
    else if (accept) steps <= steps + 1;
  end
  final $display("engine %m steps %0d", steps);
`endif

endmodule
