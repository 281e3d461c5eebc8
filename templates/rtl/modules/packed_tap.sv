// SPDX-License-Identifier: MIT-0
// One DSP of a chain: a pair of weights times the activation that they share, and the sum of the taps before it.
//
// The operand is high_i * 2**FIELD + low_i, where high_i already lacks what a negative low_i borrows: so it is wires.
// Tap POSITION works POSITION cycles later than tap 0, as the sum of its neighbour arrives. Registers lie where a DSP has
// them: two at either operand, behind the product, behind the sum. No enable: what enters leaves.
// x_i is late by POSITION - 1 cycles already, which all pairs of an array share.
module packed_tap #(
  parameter int POSITION = 0,
  parameter bit FIRST = 1,
  parameter int X_BITS = 8,
  parameter int W_BITS = 8,
  parameter int FIELD = 17,
  parameter int SUM_BITS = 35
) (
  input  logic                       clk_i,
  input  logic signed [X_BITS-1:0]   x_i,
  input  logic [W_BITS-1:0]          high_i,
  input  logic [W_BITS-1:0]          low_i,
  input  logic signed [SUM_BITS-1:0] sum_i,
  output logic signed [SUM_BITS-1:0] sum_o
);

  localparam int OperandBits = FIELD + W_BITS;

  // Each register is a separate signal, or synthesis does not take it into the DSP.
  for (genvar d = 0; d <= POSITION; d++) begin : g_weight
    logic signed [OperandBits-1:0] operand_q;
    if (d == 0) begin : g_first
      always_ff @(posedge clk_i) operand_q <= $signed({high_i, {(FIELD - W_BITS){low_i[W_BITS-1]}}, low_i});
    end else begin : g_next
      always_ff @(posedge clk_i) operand_q <= g_weight[d-1].operand_q;
    end
  end

  logic signed [X_BITS-1:0] x_q;
  if (POSITION > 0) begin : g_two
    logic signed [X_BITS-1:0] first_q;
    always_ff @(posedge clk_i) begin
      first_q <= x_i;
      x_q     <= first_q;
    end
  end else begin : g_one
    always_ff @(posedge clk_i) x_q <= x_i;
  end

  (* use_dsp = "yes" *)
  logic signed [OperandBits+X_BITS-1:0] product_q;
  (* use_dsp = "yes" *)
  logic signed [SUM_BITS-1:0] sum_q;
  always_ff @(posedge clk_i) product_q <= g_weight[POSITION].operand_q * x_q;
  if (FIRST) begin : g_first
    always_ff @(posedge clk_i) sum_q <= SUM_BITS'(product_q);
    logic unused;
    assign unused = &{1'b0, sum_i};
  end else begin : g_next
    always_ff @(posedge clk_i) sum_q <= sum_i + SUM_BITS'(product_q);
  end
  assign sum_o = sum_q;

endmodule
