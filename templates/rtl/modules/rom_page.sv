// SPDX-License-Identifier: MIT-0
// Up to 64 words of a constant memory: what one LUT6 per bit holds.
//
// A module of its own that synthesis keeps apart: mixed into the logic around it, the table of a LUT6 is split into
// several smaller ones.
(* keep_hierarchy = "yes" *)
module rom_page #(
  parameter int WORD_BITS = 8,
  parameter int DEPTH = 1,         // words in the file
  parameter int FIRST = 0,         // the page's first word
  parameter int ADDRESS_BITS = 1,
  parameter FILE = "words.hex"
) (
  input  logic [ADDRESS_BITS-1:0] address_i,
  output logic [WORD_BITS-1:0]    data_o
);

  localparam int Bits = (DEPTH > 2) ? $clog2(DEPTH) : 1;
  (* rom_style = "distributed" *)
  logic [WORD_BITS-1:0] memory[DEPTH];
  initial $readmemh(FILE, memory);
  assign data_o = memory[Bits'(FIRST) | Bits'(address_i)];

endmodule
