// SPDX-License-Identifier: MIT-0
// A second register behind a feed: the output register of its block RAM, or what its words wait in for those of another.
module feed_register #(
  parameter int WORD_BITS = 8,
  parameter bit LATE = 0  // else wires
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic [WORD_BITS-1:0] data_i,
  input  logic                 valid_i,
  input  logic                 first_i,
  input  logic                 last_i,
  input  logic                 pad_i,
  output logic [WORD_BITS-1:0] data_o,
  output logic                 valid_o,
  output logic                 first_o,
  output logic                 last_o,
  output logic                 pad_o
);

  if (LATE) begin : g_register
    always_ff @(posedge clk_i) begin
      if (!rst_ni) valid_o <= 1'b0;
      else valid_o <= valid_i;
    end
    always_ff @(posedge clk_i) begin
      data_o <= data_i;
      {first_o, last_o, pad_o} <= {first_i, last_i, pad_i};
    end
  end else begin : g_wires
    assign data_o = data_i;
    assign {valid_o, first_o, last_o, pad_o} = {valid_i, first_i, last_i, pad_i};
    logic unused;
    assign unused = &{1'b0, clk_i, rst_ni};
  end

endmodule
