// SPDX-License-Identifier: MIT-0
// PE accumulators like mac_array, but two output channels share the DSPs of their products.
//
//     (w1 * 2**FIELD + w0) * x = w1 * x * 2**FIELD + w0 * x
//
// So a DSP whose one operand holds two weights gives two products. They are exact if sums of CHAIN products w0 * x lie
// in FIELD bits. x_i: SIMD activations that all PE share. w_i: PE x SIMD weights, [pe][simd], PE even. In the memory
// the weight of an odd channel is less by one where its even neighbour's is negative. So the operand needs wires only.
// An unsigned activation enters with its highest bit inverted, as x - 2**(X_BITS-1); the channels' offsets make up for
// it. PE results appear on acc_o with valid_o. This is CHAIN + 4 + ceil(log2(chains)) cycles after the step of their
// last word; the step itself is the cycle before valid_i. There is no enable: what enters comes out.
module packed_array
  import codesign_pkg::*;
#(
  parameter int PE = 2,
  parameter int SIMD = 1,
  parameter int X_BITS = 8,
  parameter bit X_SIGNED = 0,
  parameter int W_BITS = 8,
  parameter int ACC_BITS = 24,
  parameter int CHAIN = 1,
  parameter int FIELD = 17,
  parameter bit KEEP = 0  // keep accumulators apart from the DSP behind them, see kept_register.sv
) (
  input  logic                                clk_i,
  input  logic                                rst_ni,
  input  logic                                valid_i,
  input  logic                                first_i,
  input  logic                                last_i,
  input  logic [SIMD-1:0][X_BITS-1:0]         x_i,
  input  logic [PE-1:0][SIMD-1:0][W_BITS-1:0] w_i,
  output logic                                valid_o,
  output logic [PE-1:0][ACC_BITS-1:0]         acc_o
);

  localparam int Chains = ceil_div(SIMD, CHAIN);
  // From x_i to the accumulators: two registers at the DSP, its sum, a cycle for each tap behind the first, the tree.
  localparam int Depth = CHAIN + 2 + $clog2(Chains);

  logic [Depth-1:0] valid_q, first_q, last_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= Depth'({valid_q, valid_i});
  end
  always_ff @(posedge clk_i) begin
    first_q <= Depth'({first_q, first_i});
    last_q  <= Depth'({last_q, last_i});
  end

  // Activations as signed numbers, late as the place of their tap in its chain wants it.
  logic [SIMD-1:0][X_BITS-1:0] x;
  for (genvar c = 0; c < Chains; c++) begin : g_chain
    localparam int Begin = chain_begin(c, SIMD, Chains);
    localparam int Taps = chain_begin(c + 1, SIMD, Chains) - Begin;
    for (genvar t = 0; t < Taps; t++) begin : g_tap
      localparam int Late = CHAIN - Taps + t - 1;
      logic [X_BITS-1:0] signed_x;
      assign signed_x = X_SIGNED ? x_i[Begin+t] : x_i[Begin+t] ^ (X_BITS'(1) << (X_BITS - 1));
      for (genvar d = 0; d < Late; d++) begin : g_late
        logic [X_BITS-1:0] x_q;
        if (d == 0) begin : g_first
          always_ff @(posedge clk_i) x_q <= signed_x;
        end else begin : g_next
          always_ff @(posedge clk_i) x_q <= g_late[d-1].x_q;
        end
      end
      if (Late > 0) begin : g_last
        assign x[Begin+t] = g_late[Late-1].x_q;
      end else begin : g_now
        assign x[Begin+t] = signed_x;
      end
    end
  end

  for (genvar p = 0; p < PE / 2; p++) begin : g_pair
    packed_pair #(
      .SIMD(SIMD), .X_BITS(X_BITS), .W_BITS(W_BITS), .ACC_BITS(ACC_BITS), .CHAIN(CHAIN), .FIELD(FIELD), .KEEP(KEEP)
    ) u_pair (
      .clk_i,
      .valid_i(valid_q[Depth-1]),
      .first_i(first_q[Depth-1]),
      .x_i(x),
      .w_i({w_i[2*p+1], w_i[2*p]}),
      .acc_o({acc_o[2*p+1], acc_o[2*p]})
    );
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_o <= 1'b0;
    else valid_o <= valid_q[Depth-1] && last_q[Depth-1];
  end

endmodule
