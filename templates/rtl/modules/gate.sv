// SPDX-License-Identifier: MIT-0
// Elementwise y = clamp((a * b * MULTIPLIER + half) >>> SHIFT) over PE lanes.
//
// Input 0 is a, input 1 is b. With REPEAT > 1, b is one pixel of FOLD words an image. It is taken with the first pixel
// of a, and kept for the REPEAT - 1 others. SCALING and MULTIPLIER are those of requantize.
// A register lies behind both factors. Products of LUTs are cut, see multiply.sv. Nothing waits behind the factors: see
// output_queue.sv.
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

  localparam bit Cut = (SCALING == 2) ? ACC_BITS > 25 : SUM_BITS > 26;
  localparam int FactorBits = B_BITS + 1 - int'(B_SIGNED);  // an unsigned gate becomes signed by a leading zero
  localparam int ProductBits = A_BITS + 1 - int'(A_SIGNED) + FactorBits;
  localparam int Flags = 1 + multiply_stages(USE_DSP, ProductBits, FactorBits);
  localparam int Depth = output_depth(Flags + requantize_cycles(SCALING, 0, Cut, 1'b0));

  logic [PE-1:0][A_BITS-1:0] a, a_q;
  logic [PE-1:0][B_BITS-1:0] b_in, b, b_q;
  assign {b_in, a} = data_i;

  logic go, accept, fresh;
  assign accept  = go && valid_i[0] && (valid_i[1] || !fresh);
  assign ready_o = {accept && fresh, accept};

  if (REPEAT == 1) begin : g_all
    assign fresh = 1'b1;
    assign b     = b_in;
  end else begin : g_kept
    localparam int WordBits = counter_bits(FOLD);
    localparam int PixelBits = counter_bits(REPEAT);
    logic [PE-1:0][B_BITS-1:0] kept;
    logic [PixelBits-1:0] pixel_q;
    logic last_word, fresh_q, last_pixel_q;
    assign fresh = fresh_q;
    assign b     = fresh ? b_in : kept;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        pixel_q      <= '0;
        fresh_q      <= 1'b1;
        last_pixel_q <= 1'b0;
      end else if (accept && last_word) begin
        pixel_q      <= last_pixel_q ? '0 : pixel_q + 1'b1;
        fresh_q      <= last_pixel_q;
        last_pixel_q <= pixel_q == PixelBits'(REPEAT - 2);
      end
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

  logic [Flags-1:0] valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[Flags-2:0], accept};
  end
  always_ff @(posedge clk_i) begin
    a_q <= a;
    b_q <= b;
  end

  logic [PE-1:0][ACC_BITS-1:0] product;
  for (genvar p = 0; p < PE; p++) begin : g_lane
    logic [FactorBits-1:0] factor;
    logic signed [ProductBits-1:0] wide;
    logic unused;  // two unsigned operands leave a bit above the product
    assign unused = &{1'b0, wide};
    assign factor     = FactorBits'(b_q[p]);
    assign product[p] = ACC_BITS'(wide);
    multiply #(
      .X_BITS(A_BITS), .X_SIGNED(A_SIGNED), .W_BITS(FactorBits), .USE_DSP(USE_DSP), .CUT(1'b1)
    ) u_multiply (
      .clk_i,
      .enable_i(1'b1),
      .x_i(a_q[p]),
      .w_i(factor),
      .product_o(wide)
    );
  end

  localparam logic [SUM_BITS-1:0] Half = (SHIFT == 0) ? '0 : SUM_BITS'(64'd1 << (SHIFT - 1));
  logic [PE-1:0][OUT_BITS-1:0] scaled;
  logic scaled_valid;
  requantize #(
    .LANES(PE), .ACC_BITS(ACC_BITS), .SCALING(SCALING), .MULTIPLIER_BITS(MULTIPLIER_BITS), .CONSTANT(1),
    .SUM_BITS(SUM_BITS), .SHIFT(SHIFT), .OUT_BITS(OUT_BITS), .OUT_SIGNED(OUT_SIGNED), .CUT(Cut),
    .KEEP(USE_DSP)
  ) u_requantize (
    .clk_i, .rst_ni,
    .valid_i(valid_q[Flags-1]),
    .acc_i(product),
    .multiplier_i({PE{MULTIPLIER_BITS'(MULTIPLIER)}}),
    .offset_i({PE{Half}}),
    .valid_o(scaled_valid),
    .data_o(scaled)
  );

  output_queue #(
    .WORD_BITS(PE * OUT_BITS), .DEPTH(Depth)
  ) u_queue (
    .clk_i, .rst_ni,
    .take_i(accept),
    .go_o(go),
    .data_i(scaled),
    .valid_i(scaled_valid),
    .data_o, .valid_o, .ready_i
  );

`ifndef SYNTHESIS
  step_monitor u_monitor (
    .clk_i, .rst_ni,
    .step_i(accept)
  );
`endif

endmodule
