// SPDX-License-Identifier: MIT-0
// Makes maps larger: every pixel FX times in its row, every row FY times. Every word is read FY * FX times.
//
// Input:  pixels of FOLD words, X pixels a row. Output: the words of the larger map, for row, repetition of the row,
//         column, repetition of the pixel, word. A step gives a word and costs a cycle.
//
// A circular memory of DEPTH words (a power of two). All pointers count words from reset, modulo 2**PtrBits:
//   write_q  next word to be written
//   read_q   word of the present step
//   held_q   oldest word that is still needed: writing stops DEPTH past it
// Invariant: held_q <= read_q <= write_q <= held_q + DEPTH.
// A word that arrives in one cycle can be read in the next.
module row_repeater
  import codesign_pkg::*;
#(
  parameter int WORD_BITS = 8,
  parameter int FOLD = 1,
  parameter int X = 2,
  parameter int FY = 2,
  parameter int FX = 2,
  parameter int DEPTH = 4,
  parameter bit BLOCK_RAM = 0
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic [WORD_BITS-1:0] data_i,
  input  logic                 valid_i,
  output logic                 ready_o,
  output logic [WORD_BITS-1:0] data_o,
  output logic                 valid_o,
  input  logic                 ready_i
);

  localparam int AddressBits = $clog2(DEPTH);
  localparam int PtrBits = AddressBits + 1;
  typedef logic [PtrBits-1:0] ptr_t;

  logic [counter_bits(FOLD)-1:0] word_q;
  logic [counter_bits(FX)-1:0]   copy_q;
  logic [counter_bits(X)-1:0]    column_q;
  logic [counter_bits(FY)-1:0]   pass_q;
  ptr_t write_q, read_q, held_q, used;

  logic last_word, last_copy, last_column, last_pass;
  assign last_word   = word_q == (counter_bits(FOLD))'(FOLD - 1);
  assign last_copy   = last_word && copy_q == (counter_bits(FX))'(FX - 1);
  assign last_column = last_copy && column_q == (counter_bits(X))'(X - 1);
  assign last_pass   = pass_q == (counter_bits(FY))'(FY - 1);

  logic accept, step;
  assign used    = write_q - held_q;
  assign ready_o = used != ptr_t'(DEPTH);
  assign accept  = valid_i && ready_o;
  assign step    = read_q != write_q && (!valid_o || ready_i);

  // Back to the pixel's first word, back to the row's first word, or on.
  ptr_t read_d;
  always_comb begin
    read_d = read_q + 1'b1;
    if (last_word && !last_copy) read_d = read_q - ptr_t'(FOLD - 1);
    else if (last_column && !last_pass) read_d = read_q - ptr_t'(X * FOLD - 1);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      word_q   <= '0;
      copy_q   <= '0;
      column_q <= '0;
      pass_q   <= '0;
      write_q  <= '0;
      read_q   <= '0;
      held_q   <= '0;
      valid_o  <= 1'b0;
    end else begin
      if (accept) write_q <= write_q + 1'b1;
      if (step) begin
        read_q <= read_d;
        word_q <= (FOLD == 1 || last_word) ? '0 : word_q + 1'b1;  // synthesis sees that a counter of one is none
        if (last_word) copy_q <= (FX == 1 || last_copy) ? '0 : copy_q + 1'b1;
        if (last_copy) column_q <= (X == 1 || last_column) ? '0 : column_q + 1'b1;
        if (last_column) pass_q <= (FY == 1 || last_pass) ? '0 : pass_q + 1'b1;
        if (last_copy && last_pass) held_q <= read_d;
      end
      if (step) valid_o <= 1'b1;
      else if (ready_i) valid_o <= 1'b0;
    end
  end

  // A word is read only where it was written in an earlier cycle, and overwritten only where it is not needed.
  simple_ram #(
    .WORD_BITS(WORD_BITS), .DEPTH(DEPTH), .BLOCK(BLOCK_RAM)
  ) u_memory (
    .clk_i,
    .write_i(accept),
    .write_address_i(write_q[AddressBits-1:0]),
    .data_i,
    .read_i(step),
    .fill_i(1'b0),
    .read_address_i(read_q[AddressBits-1:0]),
    .data_o
  );

`ifndef SYNTHESIS
  int peak;
  longint steps;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      peak  <= 0;
      steps <= 0;
    end else begin
      if (int'(used) + int'(accept) > peak) peak <= int'(used) + int'(accept);
      if (step) steps <= steps + 1;
    end
  end
  final $display("buffer %m depth %0d peak %0d now %0d steps %0d", DEPTH, peak, int'(used), steps);
`endif

endmodule
