// SPDX-License-Identifier: MIT-0
// Elementwise y = clamp((a * A_MULTIPLIER + b * B_MULTIPLIER + OFFSET) >>> SHIFT) over PE lanes.
//
// The multipliers are constants of either sign, as few powers of two as add up or subtract to them (no two neighbours):
// no DSP. These and the offset are the terms of a tree of adders with a register behind each; its root is requantize's.
// Nothing waits behind the first adder: see output_queue.sv. OFFSET: rounding and zero points, see requantize.sv.
module scaled_sum
  import codesign_pkg::*;
#(
  parameter int PE = 1,
  parameter int A_BITS = 8,
  parameter bit A_SIGNED = 0,
  parameter int A_MULTIPLIER = 1,
  parameter int B_BITS = 8,
  parameter bit B_SIGNED = 0,
  parameter int B_MULTIPLIER = 1,
  parameter int SUM_BITS = 12,
  parameter int SHIFT = 1,
  parameter int OUT_BITS = 8,
  parameter bit OUT_SIGNED = 0,
  parameter bit CUT = 0,
  parameter longint OFFSET = (SHIFT == 0) ? 64'sd0 : 64'sd1 << (SHIFT - 1),
  parameter int TIES = 0,
  parameter int LOWEST = OUT_SIGNED ? -(1 << (OUT_BITS - 1)) : 0,
  parameter int HIGHEST = (1 << (OUT_SIGNED ? OUT_BITS - 1 : OUT_BITS)) - 1
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,
  input  logic [PE-1:0][A_BITS-1:0]   a_i,
  input  logic                        a_valid_i,
  output logic                        a_ready_o,
  input  logic [PE-1:0][B_BITS-1:0]   b_i,
  input  logic                        b_valid_i,
  output logic                        b_ready_o,
  output logic [PE-1:0][OUT_BITS-1:0] data_o,
  output logic                        valid_o,
  input  logic                        ready_i
);

  typedef logic [33:0] digits_t;

  // The digits of a multiplier that are 1, or with NEGATED those that are -1; no two neighbours are other than 0.
  function automatic digits_t digits_of(int multiplier, bit negated);
    longint once = (multiplier < 0) ? -64'(multiplier) : 64'(multiplier);
    longint thrice = 3 * once;
    longint found = (negated == (multiplier < 0)) ? thrice & ~once : once & ~thrice;
    return digits_t'(found >> 1);
  endfunction

  // The place of the digit that has so many others below it.
  function automatic int place_of(digits_t digits, int count);
    int place = 0;
    int below = 0;
    for (int k = 0; k < 34; k++) begin
      if (digits[k] && below == count) place = k;
      if (digits[k]) below = below + 1;
    end
    return place;
  endfunction

  localparam digits_t ADigits = digits_of(A_MULTIPLIER, 1'b0) | digits_of(A_MULTIPLIER, 1'b1);
  localparam digits_t BDigits = digits_of(B_MULTIPLIER, 1'b0) | digits_of(B_MULTIPLIER, 1'b1);
  localparam digits_t AMinus = digits_of(A_MULTIPLIER, 1'b1);
  localparam digits_t BMinus = digits_of(B_MULTIPLIER, 1'b1);
  localparam int ATerms = $countones(ADigits);
  localparam int BTerms = $countones(BDigits);
  localparam int Terms = ATerms + BTerms + 1;  // the last is the offset
  localparam int Levels = max($clog2(Terms), 1);
  localparam int Depth = output_depth(Levels - 1 + requantize_cycles(0, 0, CUT, TIES != 0 && SHIFT > 0));

  // Bit t: term t is to be subtracted.
  typedef logic [68:0] terms_t;
  function automatic terms_t minus_of(digits_t a, digits_t a_minus, digits_t b, digits_t b_minus);
    terms_t found = '0;
    int t = 0;
    for (int k = 0; k < 34; k++) begin
      if (a[k]) begin
        found[t] = a_minus[k];
        t = t + 1;
      end
    end
    for (int k = 0; k < 34; k++) begin
      if (b[k]) begin
        found[t] = b_minus[k];
        t = t + 1;
      end
    end
    return found;
  endfunction
  localparam terms_t Minus = minus_of(ADigits, AMinus, BDigits, BMinus);

  // Whether sum number s of a level is to be subtracted. All of its terms are then, so that one adder makes it. In place
  // of -x the root adds ~x, and the offset has the 1 that lacks.
  function automatic bit negative(int level, int s);
    bit found = 1'b1;
    for (int t = 0; t < Terms; t++) begin
      if ((t >> level) == s) found = found && Minus[t];
    end
    return found;
  endfunction

  logic go, step;
  assign step      = a_valid_i && b_valid_i && go;
  assign a_ready_o = b_valid_i && go;
  assign b_ready_o = a_valid_i && go;

  typedef logic signed [SUM_BITS-1:0] sum_t;
  localparam sum_t Offset = sum_t'(OFFSET + (negative(Levels - 1, 0) ? 64'sd1 : 64'sd0));
  logic [PE-1:0][SUM_BITS-1:0] left, right;
  for (genvar p = 0; p < PE; p++) begin : g_pe
    sum_t a, b;
    if (A_SIGNED) begin : g_a_signed
      assign a = sum_t'($signed(a_i[p]));
    end else begin : g_a_unsigned
      assign a = sum_t'($signed({1'b0, a_i[p]}));
    end
    if (B_SIGNED) begin : g_b_signed
      assign b = sum_t'($signed(b_i[p]));
    end else begin : g_b_unsigned
      assign b = sum_t'($signed({1'b0, b_i[p]}));
    end
    for (genvar l = 0; l < Levels; l++) begin : g_level
      localparam int Sums = ceil_div(Terms, 1 << l);
      sum_t sum[Sums];
      for (genvar s = 0; s < Sums; s++) begin : g_sum
        if (l == 0) begin : g_term
          if (s < ATerms) begin : g_a
            assign sum[s] = a <<< place_of(ADigits, s);
          end else if (s < Terms - 1) begin : g_b
            assign sum[s] = b <<< place_of(BDigits, s - ATerms);
          end else begin : g_offset
            assign sum[s] = Offset;
          end
        end else if (2 * s + 1 < ceil_div(Terms, 1 << (l - 1))) begin : g_pair
          localparam bit FirstNegative = negative(l - 1, 2 * s);
          localparam bit SecondNegative = negative(l - 1, 2 * s + 1);
          always_ff @(posedge clk_i) begin
            if (FirstNegative == SecondNegative) sum[s] <= g_level[l-1].sum[2*s] + g_level[l-1].sum[2*s+1];
            else if (SecondNegative) sum[s] <= g_level[l-1].sum[2*s] - g_level[l-1].sum[2*s+1];
            else sum[s] <= g_level[l-1].sum[2*s+1] - g_level[l-1].sum[2*s];
          end
        end else begin : g_single
          always_ff @(posedge clk_i) sum[s] <= g_level[l-1].sum[2*s];
        end
      end
    end
    assign left[p]  = negative(Levels - 1, 0) ? ~g_level[Levels-1].sum[0] : g_level[Levels-1].sum[0];
    assign right[p] = (Terms > 1) ? g_level[Levels-1].sum[ceil_div(Terms, 1 << (Levels - 1))-1] : '0;
  end

  logic [Levels-1:0] valid;  // bit l: beside the sums of level l
  assign valid[0] = step;
  if (Levels > 1) begin : g_valid
    logic [Levels-2:0] valid_q;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) valid_q <= '0;
      else valid_q <= (Levels - 1)'({valid_q, step});
    end
    assign valid[Levels-1:1] = valid_q;
  end

  logic [PE-1:0][OUT_BITS-1:0] scaled;
  logic scaled_valid;
  requantize #(
    .LANES(PE), .ACC_BITS(SUM_BITS), .SCALING(0), .MULTIPLIER_BITS(1), .SUM_BITS(SUM_BITS), .SHIFT(SHIFT),
    .OUT_BITS(OUT_BITS), .OUT_SIGNED(OUT_SIGNED), .CUT(CUT), .TIES(TIES), .LOWEST(LOWEST), .HIGHEST(HIGHEST)
  ) u_requantize (
    .clk_i, .rst_ni,
    .valid_i(valid[Levels-1]),
    .acc_i(left),
    .multiplier_i({PE{1'b0}}),
    .offset_i(right),
    .valid_o(scaled_valid),
    .data_o(scaled)
  );

  output_queue #(
    .WORD_BITS(PE * OUT_BITS), .DEPTH(Depth)
  ) u_queue (
    .clk_i, .rst_ni,
    .take_i(step),
    .go_o(go),
    .data_i(scaled),
    .valid_i(scaled_valid),
    .data_o, .valid_o, .ready_i
  );

`ifndef SYNTHESIS
  step_monitor u_monitor (
    .clk_i, .rst_ni,
    .step_i(step)
  );
`endif

endmodule
