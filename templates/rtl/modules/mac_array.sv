// SPDX-License-Identifier: MIT-0
// PE accumulators, each fed by SIMD multipliers and a registered adder tree.
//
// x_i holds SIMD activations shared by all PE; with CHANNELWISE it holds PE x SIMD, each PE its own.
// w_i holds PE x SIMD weights, [pe][simd]. From first_i to last_i the products of one result are summed. PE results
// appear on acc_o with valid_o. This is 1 + multiply_stages + ceil(log2(SIMD)) cycles after their last word. The
// pipeline never stops: what enters comes out.
module mac_array
  import codesign_pkg::*;
#(
  parameter int PE = 1,
  parameter int SIMD = 1,
  parameter bit CHANNELWISE = 0,
  parameter int X_BITS = 8,
  parameter bit X_SIGNED = 0,
  parameter int W_BITS = 8,
  parameter int ACC_BITS = 24,
  parameter bit USE_DSP = 1,
  parameter bit KEEP = 0  // keep accumulators apart from the DSP behind them, see kept_register.sv
) (
  input  logic                                              clk_i,
  input  logic                                              rst_ni,
  input  logic                                              valid_i,
  input  logic                                              first_i,
  input  logic                                              last_i,
  input  logic [(CHANNELWISE ? PE * SIMD : SIMD)-1:0][X_BITS-1:0]  x_i,
  input  logic [PE-1:0][SIMD-1:0][W_BITS-1:0]               w_i,
  output logic                                              valid_o,
  output logic [PE-1:0][ACC_BITS-1:0]                       acc_o
);

  localparam int ProductBits = X_BITS + 1 - int'(X_SIGNED) + W_BITS;
  localparam int Levels = $clog2(SIMD);
  localparam int Flags = multiply_stages(USE_DSP, ProductBits, W_BITS) + Levels;

  // Flags travel beside the data: one register for each stage of the products, one for each level.
  logic [Flags-1:0] valid_q, first_q, last_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= Flags'({valid_q, valid_i});
  end
  always_ff @(posedge clk_i) begin
    first_q <= Flags'({first_q, first_i});
    last_q  <= Flags'({last_q, last_i});
  end

  for (genvar p = 0; p < PE; p++) begin : g_pe
    // Level l holds ceil(SIMD / 2**l) partial sums. No partial sum leaves ACC_BITS: see accumulator_bounds.
    for (genvar l = 0; l <= Levels; l++) begin : g_level
      localparam int Count = ceil_div(SIMD, 1 << l);
      localparam int Bits = min(ProductBits + l, max(ACC_BITS, ProductBits));
      logic signed [Bits-1:0] sum_q[Count];
      if (l == 0) begin : g_product
        for (genvar s = 0; s < SIMD; s++) begin : g_simd
          multiply #(
            .X_BITS(X_BITS),
            .X_SIGNED(X_SIGNED),
            .W_BITS(W_BITS),
            .USE_DSP(USE_DSP),
            .CUT(1)
          ) u_multiply (
            .clk_i,
            .enable_i(1'b1),
            .x_i(x_i[CHANNELWISE ? p * SIMD + s : s]),
            .w_i(w_i[p][s]),
            .product_o(sum_q[s])
          );
        end
      end else begin : g_tree
        localparam int Below = ceil_div(SIMD, 1 << (l - 1));
        for (genvar s = 0; s < Count; s++) begin : g_sum
          if (2 * s + 1 < Below) begin : g_pair
            always_ff @(posedge clk_i) begin
              sum_q[s] <= Bits'(g_level[l-1].sum_q[2*s]) + Bits'(g_level[l-1].sum_q[2*s+1]);
            end
          end else begin : g_single
            always_ff @(posedge clk_i) begin
              sum_q[s] <= Bits'(g_level[l-1].sum_q[2*s]);
            end
          end
        end
      end
    end

    // Masked in front of the adder, so that a bit takes one LUT.
    logic signed [ACC_BITS-1:0] sum, so_far;
    assign sum    = ACC_BITS'(g_level[Levels].sum_q[0]);
    assign so_far = first_q[Flags-1] ? '0 : $signed(acc_o[p]);
    kept_register #(
      .BITS(ACC_BITS), .KEEP(KEEP)
    ) u_acc (
      .clk_i,
      .enable_i(valid_q[Flags-1]),
      .data_i(sum + so_far),
      .data_o(acc_o[p])
    );
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_o <= 1'b0;
    else valid_o <= valid_q[Flags-1] && last_q[Flags-1];
  end

endmodule
