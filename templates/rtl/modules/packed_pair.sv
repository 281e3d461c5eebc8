// SPDX-License-Identifier: MIT-0
// Two output channels that share their activations: SIMD products each, in SIMD DSPs, and their accumulators.
//
// Chains of at most CHAIN taps add up in the DSPs. Then a sum is split: the low field is the even channel's, the rest the
// odd one's. A negative low field has borrowed one from the rest, which the carry of the next adder gives back. Sums of
// chains meet in a registered tree for each channel.
// A chain that is one tap short leaves out its first, so that all end together.
module packed_pair
  import codesign_pkg::*;
#(
  parameter int SIMD = 1,
  parameter int X_BITS = 8,
  parameter int W_BITS = 8,
  parameter int ACC_BITS = 24,
  parameter int CHAIN = 1,
  parameter int FIELD = 17,
  parameter bit KEEP = 0
) (
  input  logic                             clk_i,
  input  logic                             valid_i,  // the sums of a step are at the accumulators
  input  logic                             first_i,
  input  logic [SIMD-1:0][X_BITS-1:0]      x_i,      // signed, late as packed_tap wants it
  input  logic [1:0][SIMD-1:0][W_BITS-1:0] w_i,
  output logic [1:0][ACC_BITS-1:0]         acc_o
);

  localparam int Chains = ceil_div(SIMD, CHAIN);
  localparam int Levels = $clog2(Chains);
  localparam int SumBits = FIELD + X_BITS + W_BITS + $clog2(CHAIN);
  localparam int HighBits = SumBits - FIELD;

  for (genvar c = 0; c < Chains; c++) begin : g_chain
    localparam int Begin = chain_begin(c, SIMD, Chains);
    localparam int Taps = chain_begin(c + 1, SIMD, Chains) - Begin;
    for (genvar t = 0; t < Taps; t++) begin : g_tap
      logic signed [SumBits-1:0] so_far, sum;
      if (t == 0) begin : g_none
        assign so_far = '0;
      end else begin : g_before
        assign so_far = g_tap[t-1].sum;
      end
      packed_tap #(
        .POSITION(CHAIN - Taps + t), .FIRST(t == 0),
        .X_BITS(X_BITS), .W_BITS(W_BITS), .FIELD(FIELD), .SUM_BITS(SumBits)
      ) u_tap (
        .clk_i,
        .x_i(x_i[Begin+t]),
        .high_i(w_i[1][Begin+t]),
        .low_i(w_i[0][Begin+t]),
        .sum_i(so_far),
        .sum_o(sum)
      );
    end
  end

  // Level l holds ceil(Chains / 2**l) sums of both channels. No true sum leaves ACC_BITS, so wider ones are cut.
  for (genvar l = 0; l <= Levels; l++) begin : g_level
    localparam int Count = ceil_div(Chains, 1 << l);
    localparam int LowBits = min(FIELD + l, ACC_BITS);
    localparam int UpBits = min(HighBits + l, ACC_BITS);
    logic signed [LowBits-1:0] low[Count];
    logic signed [UpBits-1:0] high[Count];
    logic [Count-1:0] borrow;  // what the last of a sum's chains borrowed
    if (l == 0) begin : g_split
      for (genvar c = 0; c < Count; c++) begin : g_sum
        localparam int Last = chain_begin(c + 1, SIMD, Chains) - chain_begin(c, SIMD, Chains) - 1;
        logic signed [FIELD-1:0] field;
        logic signed [HighBits-1:0] rest;
        assign {rest, field} = g_chain[c].g_tap[Last].sum;
        assign low[c]    = LowBits'(field);
        assign high[c]   = UpBits'(rest);
        assign borrow[c] = field[FIELD-1];
        logic unused;  // what a narrow sum is cut of
        assign unused = &{1'b0, rest, field};
      end
    end else begin : g_tree
      localparam int Below = ceil_div(Chains, 1 << (l - 1));
      for (genvar s = 0; s < Count; s++) begin : g_sum
        if (2 * s + 1 < Below) begin : g_two
          always_ff @(posedge clk_i) begin
            low[s]    <= LowBits'(g_level[l-1].low[2*s]) + LowBits'(g_level[l-1].low[2*s+1]);
            high[s]   <= UpBits'(g_level[l-1].high[2*s]) + UpBits'(g_level[l-1].high[2*s+1]) +
                         UpBits'({1'b0, g_level[l-1].borrow[2*s]});
            borrow[s] <= g_level[l-1].borrow[2*s+1];
          end
        end else begin : g_one
          always_ff @(posedge clk_i) begin
            low[s]    <= LowBits'(g_level[l-1].low[2*s]);
            high[s]   <= UpBits'(g_level[l-1].high[2*s]);
            borrow[s] <= g_level[l-1].borrow[2*s];
          end
        end
      end
    end
  end

  logic signed [ACC_BITS-1:0] low_so_far, high_so_far;
  assign low_so_far  = first_i ? '0 : $signed(acc_o[0]);
  assign high_so_far = first_i ? '0 : $signed(acc_o[1]);
  kept_register #(
    .BITS(ACC_BITS), .KEEP(KEEP)
  ) u_low (
    .clk_i,
    .enable_i(valid_i),
    .data_i(low_so_far + ACC_BITS'(g_level[Levels].low[0])),
    .data_o(acc_o[0])
  );
  kept_register #(
    .BITS(ACC_BITS), .KEEP(KEEP)
  ) u_high (
    .clk_i,
    .enable_i(valid_i),
    .data_i(high_so_far + ACC_BITS'(g_level[Levels].high[0]) + ACC_BITS'({1'b0, g_level[Levels].borrow[0]})),
    .data_o(acc_o[1])
  );

endmodule
