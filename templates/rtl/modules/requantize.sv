// SPDX-License-Identifier: MIT-0
// Scales LANES accumulators to the output type: y = clamp((acc * multiplier + offset) >>> SHIFT).
//
// `offset` already holds bias * multiplier, what rounds, and the zero point, see output_offset in
// codesign/ops/requantize.py; so one fused multiply-add does all.
// TIES 1 rounds halves to even numbers before the zero point is added, where that is even; 2 where it is odd. Then the
// bits that are shifted out are all 0 (2: all 1) at a half and nowhere else. There the lowest bit of the result becomes
// 0 (2: 1) too.
// LOWEST and HIGHEST: the least and the largest output.
// SCALING 0: the multiplier is 1. 1: it is 2**exponent, and multiplier_i carries the exponent; with CONSTANT it is
// always the same. 2: any, in a DSP.
// CUT: sums of more than 26 bits are added in two halves. Products of more than 25 bits by 17 take two DSPs in a row.
//
// A pipeline that never waits, a word a cycle. A word takes, in cycles:
//   scaling          SCALING 0: 1; 1: 1, and one for every two bits of the exponent; 2: 3. With CUT one more.
//   ties             1, where they matter
//   rails            2: compare, choose
// Mirrors codesign/ops/requantize.py; Requantize.delay in codesign/machine/modules.py counts the same cycles.
module requantize
  import codesign_pkg::*;
#(
  parameter int LANES = 1,
  parameter int ACC_BITS = 24,
  parameter int SCALING = 0,
  parameter int MULTIPLIER_BITS = 1,
  parameter bit CONSTANT = 0,
  parameter int SUM_BITS = 26,
  parameter int SHIFT = 8,
  parameter int OUT_BITS = 8,
  parameter bit OUT_SIGNED = 0,
  parameter bit CUT = 0,
  parameter bit KEEP = 0,  // see scale_product.sv
  parameter int TIES = 0,
  parameter int LOWEST = OUT_SIGNED ? -(1 << (OUT_BITS - 1)) : 0,
  parameter int HIGHEST = (1 << (OUT_SIGNED ? OUT_BITS - 1 : OUT_BITS)) - 1
) (
  input  logic                                  clk_i,
  input  logic                                  rst_ni,
  input  logic                                  valid_i,
  input  logic [LANES-1:0][ACC_BITS-1:0]        acc_i,
  input  logic [LANES-1:0][MULTIPLIER_BITS-1:0] multiplier_i,
  input  logic [LANES-1:0][SUM_BITS-1:0]        offset_i,
  output logic                                  valid_o,
  output logic [LANES-1:0][OUT_BITS-1:0]        data_o
);

  localparam int Moves = (SCALING == 1 && !CONSTANT) ? (MULTIPLIER_BITS + 1) / 2 : 0;
  localparam bit Ties = TIES != 0 && SHIFT > 0;
  localparam int Delay = requantize_cycles(SCALING, (Moves > 0) ? MULTIPLIER_BITS : 0, CUT, Ties);
  // What is left after the shift, and the rails to clamp to.
  localparam int HighBits = (SUM_BITS > SHIFT) ? SUM_BITS - SHIFT : 1;
  localparam bit Bounded = LOWEST != (OUT_SIGNED ? -(1 << (OUT_BITS - 1)) : 0) ||
                           HIGHEST != (1 << (OUT_SIGNED ? OUT_BITS - 1 : OUT_BITS)) - 1;
  localparam int WideBits = (HighBits > OUT_BITS) ? HighBits : OUT_BITS + 1;

  logic [Delay-1:0] valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[Delay-2:0], valid_i};
  end
  assign valid_o = valid_q[Delay-1];

  for (genvar i = 0; i < LANES; i++) begin : g_lane
    logic signed [ACC_BITS-1:0] acc;
    logic signed [SUM_BITS-1:0] offset, sum;
    assign acc    = $signed(acc_i[i]);
    assign offset = $signed(offset_i[i]);

    if (SCALING == 2) begin : g_multiply
      scale_product #(
        .ACC_BITS(ACC_BITS), .MULTIPLIER_BITS(MULTIPLIER_BITS), .SUM_BITS(SUM_BITS), .CUT(CUT), .KEEP(KEEP)
      ) u_product (
        .clk_i,
        .acc_i(acc),
        .multiplier_i(multiplier_i[i]),
        .offset_i(offset),
        .sum_o(sum)
      );
    end else begin : g_move
      // One digit of the exponent, a choice of four, in every stage.
      logic signed [SUM_BITS-1:0] moved, added;
      if (Moves > 0) begin : g_stages
        for (genvar s = 0; s < Moves; s++) begin : g_stage
          localparam int DigitBits = (2 * s + 2 <= MULTIPLIER_BITS) ? 2 : 1;
          logic signed [SUM_BITS-1:0] from, moved_q, offset_q;
          logic [MULTIPLIER_BITS-1:0] exponent;
          if (s == 0) begin : g_first
            assign from     = SUM_BITS'(acc);
            assign exponent = multiplier_i[i];
            always_ff @(posedge clk_i) offset_q <= offset;
          end else begin : g_next
            assign from = g_stage[s-1].moved_q;
            always_ff @(posedge clk_i) begin
              exponent <= g_stage[s-1].exponent;
              offset_q <= g_stage[s-1].offset_q;
            end
          end
          logic [DigitBits-1:0] digit;
          assign digit = exponent[2*s+:DigitBits];
          always_ff @(posedge clk_i) moved_q <= from <<< (32'(digit) << (2 * s));
          logic unused;
          assign unused = &{1'b0, exponent};
        end
        assign moved = g_stage[Moves-1].moved_q;
        assign added = g_stage[Moves-1].offset_q;
      end else begin : g_wire
        assign moved = (SCALING == 1) ? SUM_BITS'(acc) <<< multiplier_i[i] : SUM_BITS'(acc);
        assign added = offset;
        logic unused;
        assign unused = &{1'b0, multiplier_i[i]};
      end
      if (CUT) begin : g_halves
        localparam int Low = SUM_BITS / 2;
        logic [Low:0] low_q;
        logic [Low-1:0] low_late_q;
        logic [SUM_BITS-Low-1:0] moved_q, added_q, high_q;
        always_ff @(posedge clk_i) begin
          low_q      <= {1'b0, moved[Low-1:0]} + {1'b0, added[Low-1:0]};
          moved_q    <= moved[SUM_BITS-1:Low];
          added_q    <= added[SUM_BITS-1:Low];
          low_late_q <= low_q[Low-1:0];
          high_q     <= moved_q + added_q + (SUM_BITS - Low)'(low_q[Low]);
        end
        assign sum = {high_q, low_late_q};
      end else begin : g_whole
        logic signed [SUM_BITS-1:0] sum_q;
        always_ff @(posedge clk_i) sum_q <= moved + added;
        assign sum = sum_q;
      end
    end

    logic signed [HighBits-1:0] shifted, high;
    assign shifted = HighBits'(sum >>> SHIFT);
    if (Ties) begin : g_even
      localparam bit Odd = TIES == 2;
      logic tie;
      logic signed [HighBits-1:0] high_q;
      assign tie  = sum[SHIFT-1:0] == {SHIFT{Odd}};
      assign high = high_q;
      always_ff @(posedge clk_i) begin
        high_q    <= shifted;
        high_q[0] <= tie ? Odd : shifted[0];
      end
    end else begin : g_nearest
      assign high = shifted;
    end

    logic [OUT_BITS-1:0] inside_q;
    logic above_q, below_q;
    if (Bounded || HighBits > OUT_BITS + (OUT_SIGNED ? 0 : 1)) begin : g_clamp
      logic signed [WideBits-1:0] wide;
      assign wide = WideBits'(high);
      always_ff @(posedge clk_i) begin
        inside_q <= OUT_BITS'(wide);
        above_q  <= wide > WideBits'(HIGHEST);
        below_q  <= wide < WideBits'(LOWEST);
      end
    end else begin : g_fits
      // Only a negative number can leave a type that is wide enough: clamp it to zero where the output is unsigned.
      assign above_q = 1'b0;
      always_ff @(posedge clk_i) begin
        inside_q <= OUT_BITS'(high);
        below_q  <= !OUT_SIGNED && high < 0;
      end
    end
    always_ff @(posedge clk_i) begin
      if (above_q) data_o[i] <= OUT_BITS'(HIGHEST);
      else if (below_q) data_o[i] <= OUT_BITS'(LOWEST);
      else data_o[i] <= inside_q;
    end
  end

endmodule
