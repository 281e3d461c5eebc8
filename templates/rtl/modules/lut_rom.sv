// SPDX-License-Identifier: MIT-0
// A constant memory in LUTs, read in no time: pages of 64 words, and a choice of page.
module lut_rom
  import codesign_pkg::*;
#(
  parameter int WORD_BITS = 8,
  parameter int DEPTH = 2,
  parameter FILE = "words.hex"
) (
  input  logic [counter_bits(DEPTH)-1:0] address_i,
  output logic [WORD_BITS-1:0]           data_o
);

  localparam int PageWords = 64;
  localparam int PageBits = 6;
  localparam int Pages = ceil_div(DEPTH, PageWords);

  logic [Pages-1:0][WORD_BITS-1:0] page;
  for (genvar p = 0; p < Pages; p++) begin : g_page
    localparam int AddressBits = counter_bits(min(DEPTH - PageWords * p, PageWords));
    rom_page #(
      .WORD_BITS(WORD_BITS), .DEPTH(DEPTH), .FIRST(PageWords * p), .ADDRESS_BITS(AddressBits), .FILE(FILE)
    ) u_page (
      .address_i(address_i[AddressBits-1:0]),
      .data_o(page[p])
    );
  end

  if (Pages == 1) begin : g_one
    assign data_o = page[0];
  end else begin : g_choice
    assign data_o = page[address_i[counter_bits(DEPTH)-1:PageBits]];
  end

endmodule
