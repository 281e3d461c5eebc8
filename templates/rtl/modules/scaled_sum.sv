// SPDX-License-Identifier: MIT-0
// Elementwise y = clamp((a * A_MULTIPLIER + b * B_MULTIPLIER + OFFSET) >>> SHIFT) over PE lanes, two cycles a word.
//
// The multipliers are constants of either sign, written as shifted additions: no DSP. OFFSET: rounding and zero points,
// see requantize.sv.
module scaled_sum #(
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

  logic both, ready;
  assign both      = a_valid_i && b_valid_i;
  assign a_ready_o = both && ready;
  assign b_ready_o = both && ready;

  function automatic logic signed [SUM_BITS-1:0] times(logic signed [SUM_BITS-1:0] x, int multiplier);
    logic signed [SUM_BITS-1:0] sum;
    int magnitude;
    sum = '0;
    magnitude = (multiplier < 0) ? -multiplier : multiplier;
    for (int j = 0; j < 31; j++) begin  // every bit of a positive int
      if (magnitude[j]) sum = (multiplier < 0) ? sum - (x <<< j) : sum + (x <<< j);
    end
    return sum;
  endfunction

  logic [PE-1:0][SUM_BITS-1:0] sum;
  for (genvar p = 0; p < PE; p++) begin : g_pe
    logic signed [SUM_BITS-1:0] a, b;
    if (A_SIGNED) begin : g_a_signed
      assign a = SUM_BITS'($signed(a_i[p]));
    end else begin : g_a_unsigned
      assign a = SUM_BITS'($signed({1'b0, a_i[p]}));
    end
    if (B_SIGNED) begin : g_b_signed
      assign b = SUM_BITS'($signed(b_i[p]));
    end else begin : g_b_unsigned
      assign b = SUM_BITS'($signed({1'b0, b_i[p]}));
    end
    assign sum[p] = times(a, A_MULTIPLIER) + times(b, B_MULTIPLIER);
  end

  requantize #(
    .LANES(PE),
    .ACC_BITS(SUM_BITS),
    .SCALING(0),
    .MULTIPLIER_BITS(1),
    .SUM_BITS(SUM_BITS),
    .SHIFT(SHIFT),
    .OUT_BITS(OUT_BITS),
    .OUT_SIGNED(OUT_SIGNED),
    .TIES(TIES),
    .LOWEST(LOWEST),
    .HIGHEST(HIGHEST)
  ) u_requantize (
    .clk_i,
    .rst_ni,
    .valid_i(both),
    .ready_o(ready),
    .acc_i(sum),
    .multiplier_i({PE{1'b0}}),
    .offset_i({PE{SUM_BITS'(OFFSET)}}),
    .valid_o,
    .ready_i,
    .data_o
  );

`ifndef SYNTHESIS
  longint steps;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) steps <= 0;
    else if (both && ready) steps <= steps + 1;
  end
  final $display("engine %m steps %0d", steps);
`endif

endmodule
