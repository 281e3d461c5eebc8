// SPDX-License-Identifier: MIT-0
// Weights of one engine: one word of all PE x SIMD weights per step, in the order in which the steps come.
//
// The word for a step is read in the cycle of the step and appears one cycle later, beside the line buffer's word.
module weight_rom
  import codesign_pkg::*;
#(
  parameter int WORD_BITS = 8,
  parameter int DEPTH = 1,
  parameter bit BLOCK_ROM = 0,
  parameter FILE = "weights.hex"
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 issue_i,
  output logic [WORD_BITS-1:0] data_o
);

  localparam int MaxShallow = 16;  // so few words are not worth a block RAM: a LUT a bit at most
  localparam int AddressBits = counter_bits(DEPTH);
  logic [AddressBits-1:0] address_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) address_q <= '0;
    else if (issue_i) address_q <= (address_q == AddressBits'(DEPTH - 1)) ? '0 : address_q + 1'b1;
  end

  if (DEPTH == 1) begin : g_constant
    logic [WORD_BITS-1:0] memory[DEPTH];
    initial $readmemh(FILE, memory);
    assign data_o = memory[0];
    logic unused;
    assign unused = &{1'b0, address_q};
  end else if (BLOCK_ROM && DEPTH > MaxShallow) begin : g_block
    (* rom_style = "block" *)
    logic [WORD_BITS-1:0] memory[DEPTH];
    initial $readmemh(FILE, memory);
    always_ff @(posedge clk_i) begin
      data_o <= memory[address_q];
    end
  end else begin : g_distributed
    logic [WORD_BITS-1:0] word;
    lut_rom #(
      .WORD_BITS(WORD_BITS), .DEPTH(DEPTH), .FILE(FILE)
    ) u_words (
      .address_i(address_q),
      .data_o(word)
    );
    always_ff @(posedge clk_i) begin
      data_o <= word;
    end
  end

endmodule
