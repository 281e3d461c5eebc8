// SPDX-License-Identifier: MIT-0
// A memory of one write and one registered read port, in block RAM or in LUTs.
//
// With fill_i a read gives FILL: the reset of the output register, which every kind of memory has.
// What a read gives for a word written in the same cycle is not defined: the users never do that.
module simple_ram #(
  parameter int WORD_BITS = 8,
  parameter int DEPTH = 16,
  parameter bit BLOCK = 0,
  parameter logic [WORD_BITS-1:0] FILL = '0
) (
  input  logic                     clk_i,
  input  logic                     write_i,
  input  logic [$clog2(DEPTH)-1:0] write_address_i,
  input  logic [WORD_BITS-1:0]     data_i,
  input  logic                     read_i,
  input  logic                     fill_i,
  input  logic [$clog2(DEPTH)-1:0] read_address_i,
  output logic [WORD_BITS-1:0]     data_o
);

  // An attribute is a constant, so each kind of memory is spelt out.
  if (BLOCK) begin : g_block
    (* ram_style = "block" *)
    logic [WORD_BITS-1:0] memory[DEPTH];
    always_ff @(posedge clk_i) begin
      if (write_i) memory[write_address_i] <= data_i;
    end
    always_ff @(posedge clk_i) begin
      if (read_i) data_o <= fill_i ? FILL : memory[read_address_i];
    end
  end else begin : g_distributed
    (* ram_style = "distributed" *)
    logic [WORD_BITS-1:0] memory[DEPTH];
    always_ff @(posedge clk_i) begin
      if (write_i) memory[write_address_i] <= data_i;
    end
    always_ff @(posedge clk_i) begin
      if (read_i) data_o <= fill_i ? FILL : memory[read_address_i];
    end
  end

endmodule
