// SPDX-License-Identifier: MIT-0
// Scales LANES accumulators to the output type: y = clamp((acc * multiplier + offset) >>> SHIFT).
//
// `offset` already holds bias * multiplier, what rounds, and the zero point, see output_offset in
// codesign/ops/requantize.py; so one fused multiply-add does all.
// TIES 1 rounds halves to even numbers before the zero point is added, where that is even; 2 where it is odd. Then the
// bits that are shifted out are all 0 (2: all 1) at a half and nowhere else, and so becomes the lowest bit of the result.
// LOWEST and HIGHEST: the least and the largest output.
// SCALING 0: the multiplier is 1. 1: it is 2**exponent and multiplier_i carries the exponent. 2: any, in one DSP.
// A word takes 2 cycles (SCALING 0 and 1) or 3. Mirrors codesign/ops/requantize.py.
module requantize #(
  parameter int LANES = 1,
  parameter int ACC_BITS = 24,
  parameter int SCALING = 0,
  parameter int MULTIPLIER_BITS = 1,
  parameter int SUM_BITS = 26,
  parameter int SHIFT = 8,
  parameter int OUT_BITS = 8,
  parameter bit OUT_SIGNED = 0,
  parameter int TIES = 0,
  parameter int LOWEST = OUT_SIGNED ? -(1 << (OUT_BITS - 1)) : 0,
  parameter int HIGHEST = (1 << (OUT_SIGNED ? OUT_BITS - 1 : OUT_BITS)) - 1
) (
  input  logic                                  clk_i,
  input  logic                                  rst_ni,
  input  logic                                  valid_i,
  output logic                                  ready_o,
  input  logic [LANES-1:0][ACC_BITS-1:0]        acc_i,
  input  logic [LANES-1:0][MULTIPLIER_BITS-1:0] multiplier_i,
  input  logic [LANES-1:0][SUM_BITS-1:0]        offset_i,
  output logic                                  valid_o,
  input  logic                                  ready_i,
  output logic [LANES-1:0][OUT_BITS-1:0]        data_o
);

  localparam int ProductBits = (ACC_BITS + MULTIPLIER_BITS < SUM_BITS) ? ACC_BITS + MULTIPLIER_BITS : SUM_BITS;
  localparam int Stages = (SCALING == 2) ? 2 : 1;
  // What is left after the shift, and the rails to clamp to.
  localparam int HighBits = (SUM_BITS > SHIFT) ? SUM_BITS - SHIFT : 1;
  localparam bit Bounded = LOWEST != (OUT_SIGNED ? -(1 << (OUT_BITS - 1)) : 0) ||
                           HIGHEST != (1 << (OUT_SIGNED ? OUT_BITS - 1 : OUT_BITS)) - 1;
  localparam int WideBits = (HighBits > OUT_BITS) ? HighBits : OUT_BITS + 1;

  logic enable;
  assign enable  = !valid_o || ready_i;
  assign ready_o = enable;

  logic [Stages-1:0] valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q <= '0;
      valid_o <= 1'b0;
    end else if (enable) begin
      valid_q <= Stages'({valid_q, valid_i});
      valid_o <= valid_q[Stages-1];
    end
  end

  for (genvar i = 0; i < LANES; i++) begin : g_lane
    logic signed [ACC_BITS-1:0] acc;
    logic signed [SUM_BITS-1:0] offset, sum_q;
    assign acc    = $signed(acc_i[i]);
    assign offset = $signed(offset_i[i]);

    if (SCALING == 0) begin : g_one
      always_ff @(posedge clk_i) begin
        if (enable) sum_q <= SUM_BITS'(acc) + offset;
      end
      logic unused;
      assign unused = &{1'b0, multiplier_i[i]};
    end else if (SCALING == 1) begin : g_shift
      logic signed [SUM_BITS-1:0] scaled;
      assign scaled = SUM_BITS'(acc) <<< multiplier_i[i];
      always_ff @(posedge clk_i) begin
        if (enable) sum_q <= scaled + offset;
      end
    end else begin : g_multiply
      (* use_dsp = "yes" *)
      logic signed [ProductBits-1:0] product_q;
      logic signed [SUM_BITS-1:0] offset_q;
      logic signed [MULTIPLIER_BITS:0] multiplier;
      assign multiplier = $signed({1'b0, multiplier_i[i]});
      always_ff @(posedge clk_i) begin
        if (enable) begin
          product_q <= acc * multiplier;
          offset_q  <= offset;
          sum_q     <= SUM_BITS'(product_q) + offset_q;
        end
      end
    end

    logic signed [HighBits-1:0] shifted, high;
    assign shifted = HighBits'(sum_q >>> SHIFT);
    if (TIES != 0 && SHIFT > 0) begin : g_even
      localparam bit Odd = TIES == 2;
      logic tie;
      assign tie = sum_q[SHIFT-1:0] == {SHIFT{Odd}};
      always_comb begin
        high = shifted;
        if (tie) high[0] = Odd;
      end
    end else begin : g_nearest
      assign high = shifted;
    end
    if (Bounded || HighBits > OUT_BITS + (OUT_SIGNED ? 0 : 1)) begin : g_clamp
      logic signed [WideBits-1:0] wide, highest, lowest;
      assign wide    = WideBits'(high);
      assign highest = WideBits'(HIGHEST);
      assign lowest  = WideBits'(LOWEST);
      always_ff @(posedge clk_i) begin
        if (enable) begin
          if (wide > highest) data_o[i] <= OUT_BITS'(highest);
          else if (wide < lowest) data_o[i] <= OUT_BITS'(lowest);
          else data_o[i] <= OUT_BITS'(wide);
        end
      end
    end else begin : g_fits
      // Only a negative number can leave a type that is wide enough: clamp it to zero where the output is unsigned.
      always_ff @(posedge clk_i) begin
        if (enable) data_o[i] <= (!OUT_SIGNED && high < 0) ? '0 : OUT_BITS'(high);
      end
    end
  end

endmodule
