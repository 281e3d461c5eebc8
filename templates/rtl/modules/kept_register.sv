// SPDX-License-Identifier: MIT-0
// A register that a DSP behind it may take in, or with KEEP may not.
//
// Yosys 0.70 takes an adder and its register in front of a DSP48E1 for the DSP's own pre-adder. It does so even where
// the register feeds back to the adder, and loses the feedback. So an accumulator that a DSP multiplies is kept.
module kept_register #(
  parameter int BITS = 8,
  parameter bit KEEP = 0
) (
  input  logic            clk_i,
  input  logic            enable_i,
  input  logic [BITS-1:0] data_i,
  output logic [BITS-1:0] data_o
);

  if (KEEP) begin : g_kept
    (* keep = "true" *)
    logic [BITS-1:0] data_q;
    always_ff @(posedge clk_i) begin
      if (enable_i) data_q <= data_i;
    end
    assign data_o = data_q;
  end else begin : g_free
    always_ff @(posedge clk_i) begin
      if (enable_i) data_o <= data_i;
    end
  end

endmodule
