// SPDX-License-Identifier: MIT-0
// Makes maps larger: every pixel FX times in its row, every row FY times. Every word is read FY * FX times.
//
// Input:  pixels of FOLD words, X pixels a row. Output: the words of the larger map, for row, repetition of the row,
//         column, repetition of the pixel, word. A step gives a word and costs a cycle.
//
// A circular memory of DEPTH words (a power of two). All pointers count words from reset, modulo 2**PtrBits:
//   write_q  next word to be written
//   edge_q   DEPTH before the word after it
//   read_q   word of the present step
//   next_q   word of the step after it
//   held_q   oldest word that is still needed: writing stops DEPTH past it
// Invariant: held_q <= read_q <= write_q <= held_q + DEPTH.
// A word that arrives in one cycle can be read in the next. Whether a word is there for a step, and whether there is room
// for another, are registers. Nothing waits behind a step: see output_queue.sv.
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
  typedef logic signed [PtrBits-1:0] ptr_t;

  logic [counter_bits(FOLD)-1:0] word_q;
  logic [counter_bits(FX)-1:0]   copy_q;
  logic [counter_bits(X)-1:0]    column_q;
  logic [counter_bits(FY)-1:0]   pass_q;

  logic last_word, last_copy, last_column, last_pass;
  assign last_word   = word_q == (counter_bits(FOLD))'(FOLD - 1);
  assign last_copy   = last_word && copy_q == (counter_bits(FX))'(FX - 1);
  assign last_column = last_copy && column_q == (counter_bits(X))'(X - 1);
  assign last_pass   = pass_q == (counter_bits(FY))'(FY - 1);

  ptr_t write_q, edge_q, read_q, read_d, next_q, next_d, held_q, held_d, behind, room;
  logic begun_q, there_q, full_q, frees_q, accept, step, advance, go;
  assign ready_o = !full_q;
  assign accept  = valid_i && !full_q;
  assign step    = there_q && go;
  assign advance = step || !begun_q;  // what follows a step is found one ahead, for the first after reset

  // Back to the pixel's first word, back to the row's first word, or on.
  always_comb begin
    next_d = next_q + 1'b1;
    if (last_word && !last_copy) next_d = next_q - ptr_t'(FOLD - 1);
    else if (last_column && !last_pass) next_d = next_q - ptr_t'(X * FOLD - 1);
  end

  assign read_d = step ? next_q : read_q;
  assign held_d = (step && frees_q) ? next_q : held_q;
  // read_d less what has been written, and the words that find room less one; `accept` comes in as the carry.
  logic [1:0] unused_carry;
  assign {behind, unused_carry[0]} = {read_d, 1'b1} + {~write_q, !accept};
  assign {room, unused_carry[1]}   = {held_d, 1'b1} + {~edge_q, !accept};
  logic [1:0] valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      begun_q  <= 1'b0;
      there_q  <= 1'b0;
      full_q   <= 1'b0;
      frees_q  <= 1'b0;
      word_q   <= '0;
      copy_q   <= '0;
      column_q <= '0;
      pass_q   <= '0;
      write_q  <= '0;
      edge_q   <= ptr_t'(1 - DEPTH);
      read_q   <= '0;
      next_q   <= '0;
      held_q   <= '0;
      valid_q  <= '0;
    end else begin
      begun_q <= 1'b1;
      there_q <= behind[PtrBits-1];
      full_q  <= room[PtrBits-1];
      if (accept) write_q <= write_q + 1'b1;
      if (accept) edge_q <= edge_q + 1'b1;
      read_q  <= read_d;
      held_q  <= held_d;
      valid_q <= {valid_q[0], step};
      if (advance) begin
        next_q  <= next_d;
        frees_q <= last_copy && last_pass;
        word_q  <= (FOLD == 1 || last_word) ? '0 : word_q + 1'b1;  // synthesis sees that a counter of one is none
        if (last_word) copy_q <= (FX == 1 || last_copy) ? '0 : copy_q + 1'b1;
        if (last_copy) column_q <= (X == 1 || last_column) ? '0 : column_q + 1'b1;
        if (last_column) pass_q <= (FY == 1 || last_pass) ? '0 : pass_q + 1'b1;
      end
    end
  end

  // A word is read only where it was written in an earlier cycle, and overwritten only where it is not needed. Block RAM
  // has a second register.
  logic [WORD_BITS-1:0] found, found_q;
  simple_ram #(
    .WORD_BITS(WORD_BITS), .DEPTH(DEPTH), .BLOCK(BLOCK_RAM)
  ) u_memory (
    .clk_i,
    .write_i(accept),
    .write_address_i(write_q[AddressBits-1:0]),
    .data_i,
    .read_i(1'b1),
    .fill_i(1'b0),
    .read_address_i(read_q[AddressBits-1:0]),
    .data_o(found)
  );
  always_ff @(posedge clk_i) found_q <= found;

  output_queue #(
    .WORD_BITS(WORD_BITS), .DEPTH(output_depth(BLOCK_RAM ? 2 : 1))
  ) u_queue (
    .clk_i, .rst_ni,
    .take_i(step),
    .go_o(go),
    .data_i(BLOCK_RAM ? found_q : found),
    .valid_i(valid_q[BLOCK_RAM]),
    .data_o, .valid_o, .ready_i
  );
  logic unused;
  assign unused = &{1'b0, found_q, valid_q, behind, room, unused_carry};

`ifndef SYNTHESIS
  ptr_t used;
  assign used = write_q - held_q;
  buffer_monitor #(
    .DEPTH(DEPTH)
  ) u_monitor (
    .clk_i, .rst_ni,
    .used_i(int'($unsigned(used))),
    .write_i(accept),
    .step_i(step),
    .image_i(1'b1)
  );
`endif

endmodule
