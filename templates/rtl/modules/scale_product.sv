// SPDX-License-Identifier: MIT-0
// sum = acc * multiplier + offset in one DSP with all of its registers, three cycles; with CUT in two, four cycles.
//
// Two: the lower 17 bits of the accumulator and the offset first; the upper ones beside what they carry, a cycle later.
// The sum is right in SUM_BITS bits whatever passes beyond on the way.
module scale_product #(
  parameter int ACC_BITS = 24,
  parameter int MULTIPLIER_BITS = 8,
  parameter int SUM_BITS = 32,
  parameter bit CUT = 0,
  parameter bit KEEP = 0  // keep the accumulator apart from the DSP, so that the one in front has its product register
) (
  input  logic                              clk_i,
  input  logic signed [ACC_BITS-1:0]        acc_i,
  input  logic [MULTIPLIER_BITS-1:0]        multiplier_i,
  input  logic signed [SUM_BITS-1:0]        offset_i,
  output logic signed [SUM_BITS-1:0]        sum_o
);

  logic signed [MULTIPLIER_BITS:0] multiplier_q;
  logic signed [SUM_BITS-1:0] offset_q, offset_late_q;
  always_ff @(posedge clk_i) begin
    multiplier_q  <= $signed({1'b0, multiplier_i});
    offset_q      <= offset_i;
    offset_late_q <= offset_q;
  end

  if (CUT) begin : g_two
    localparam int Low = 17;  // the unsigned bits of a DSP's narrower port
    localparam int HighBits = ACC_BITS - Low;
    localparam int TopBits = SUM_BITS - Low;
    logic signed [Low:0] low_q;
    logic signed [HighBits-1:0] high_q, high_late_q;
    logic signed [MULTIPLIER_BITS:0] multiplier_late_q;
    (* use_dsp = "yes" *)
    logic signed [Low+MULTIPLIER_BITS+1:0] low_product_q;
    (* use_dsp = "yes" *)
    logic signed [HighBits+MULTIPLIER_BITS:0] high_product_q;
    logic signed [SUM_BITS-1:0] low_sum_q;
    logic signed [TopBits-1:0] high_sum_q;
    logic [Low-1:0] low_late_q;
    always_ff @(posedge clk_i) begin
      low_q             <= $signed({1'b0, acc_i[Low-1:0]});
      high_q            <= acc_i[ACC_BITS-1:Low];
      high_late_q       <= high_q;
      multiplier_late_q <= multiplier_q;
      low_product_q     <= low_q * multiplier_q;
      high_product_q    <= high_late_q * multiplier_late_q;
      low_sum_q         <= SUM_BITS'(low_product_q) + offset_late_q;
      high_sum_q        <= TopBits'(high_product_q) + TopBits'(low_sum_q >>> Low);
      low_late_q        <= low_sum_q[Low-1:0];
    end
    assign sum_o = {high_sum_q, low_late_q};
    logic unused;  // a product may have a bit more than the sum
    assign unused = &{1'b0, low_product_q, high_product_q};
  end else begin : g_one
    localparam int ProductBits = (ACC_BITS + MULTIPLIER_BITS < SUM_BITS) ? ACC_BITS + MULTIPLIER_BITS : SUM_BITS;
    logic [ACC_BITS-1:0] acc_q;
    kept_register #(
      .BITS(ACC_BITS), .KEEP(KEEP)
    ) u_acc (
      .clk_i,
      .enable_i(1'b1),
      .data_i(acc_i),
      .data_o(acc_q)
    );
    (* use_dsp = "yes" *)
    logic signed [ProductBits-1:0] product_q;
    logic signed [SUM_BITS-1:0] sum_q;
    always_ff @(posedge clk_i) begin
      product_q <= $signed(acc_q) * multiplier_q;
      sum_q     <= SUM_BITS'(product_q) + offset_late_q;
    end
    assign sum_o = sum_q;
  end

endmodule
