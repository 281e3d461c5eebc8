// SPDX-License-Identifier: MIT-0
// Reads the words of a map in another order, or only some of them: nested loops over a circular memory.
//
// Loop 0 is the innermost. Loop i makes COUNTS[i] turns, each STRIDES[i] words further on than the one before; all begins
// at word FIRST of an image of IMAGE words. A step gives a word and costs a cycle. REACH: the furthest that the address
// moves forward in a step, and with it ahead of what has been written.
//
// A memory of DEPTH words (a power of two). All pointers count words from reset, modulo 2**PtrBits:
//   write_q  next word to be written
//   read_q   word of the present step, which may not have come yet
//   limit_q  DEPTH past the oldest word that is still needed: writing stops there
// Words before the next are given up when all loops below FREE end; with PASS, only in the last turn of that loop.
// A word that arrives in one cycle can be read in the next.
module rearranger
  import codesign_pkg::*;
#(
  parameter int WORD_BITS = 8,
  parameter int LOOPS = 1,
  parameter int FIRST = 0,
  parameter int FREE = 0,
  parameter int PASS = LOOPS,  // as many as there are loops: none
  parameter int IMAGE = 1,
  parameter int REACH = 1,
  parameter int DEPTH = 4,
  parameter bit BLOCK_RAM = 0,
  parameter logic [32*LOOPS-1:0] COUNTS = {LOOPS{32'd1}},
  parameter logic [32*LOOPS-1:0] STRIDES = {LOOPS{32'd1}}
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

  // How far the address moves where a loop goes on, and all loops below it begin anew; beyond the last, the image does.
  function automatic int jump_of(int loop);
    int sum = IMAGE;
    for (int i = 0; i < LOOPS; i++) begin
      if (i == loop) sum = int'(STRIDES[32*i+:32]);
    end
    for (int i = 0; i < LOOPS; i++) begin
      if (i < loop) sum = sum - (int'(COUNTS[32*i+:32]) - 1) * int'(STRIDES[32*i+:32]);
    end
    return sum;
  endfunction

  localparam int AddressBits = $clog2(DEPTH);
  localparam int PtrBits = $clog2(DEPTH + REACH) + 1;
  typedef logic signed [PtrBits-1:0] ptr_t;

  ptr_t write_q, read_q, limit_q, behind, room;
  logic accept, step;
  assign behind  = read_q - write_q;
  assign room    = write_q - limit_q;
  assign ready_o = room[PtrBits-1];
  assign accept  = valid_i && ready_o;
  assign step    = behind[PtrBits-1] && (!valid_o || ready_i);

  // Bit i: loop i is in its last turn; bit i of `ends`: so are all loops below it.
  logic [LOOPS:0] last;
  logic [LOOPS+1:0] ends;
  logic gives_up;
  assign last[LOOPS]   = 1'b1;
  assign ends[0]       = 1'b1;
  assign ends[LOOPS+1] = 1'b0;
  assign gives_up      = ends[FREE] && last[PASS];
  for (genvar i = 0; i < LOOPS; i++) begin : g_loop
    localparam int Count = int'(COUNTS[32*i+:32]);
    assign ends[i+1] = &last[i:0];
    if (Count == 1) begin : g_once
      assign last[i] = 1'b1;
    end else begin : g_many
      logic [counter_bits(Count)-1:0] turn_q;
      assign last[i] = turn_q == (counter_bits(Count))'(Count - 1);
      always_ff @(posedge clk_i) begin
        if (!rst_ni) turn_q <= '0;
        else if (step && ends[i]) turn_q <= last[i] ? '0 : turn_q + 1'b1;
      end
    end
  end

  logic [LOOPS:0][PtrBits-1:0] jumps;
  for (genvar i = 0; i <= LOOPS; i++) begin : g_jump
    assign jumps[i] = PtrBits'(jump_of(i));
  end
  logic [PtrBits-1:0] jump;
  ptr_t read_d;
  assign read_d = read_q + ptr_t'(jump);
  always_comb begin
    jump = '0;
    for (int i = LOOPS; i >= 0; i--) begin
      if (!ends[i+1]) jump = jumps[i];
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      write_q <= '0;
      read_q  <= ptr_t'(FIRST);
      limit_q <= ptr_t'(DEPTH);
      valid_o <= 1'b0;
    end else begin
      if (accept) write_q <= write_q + 1'b1;
      if (step) read_q <= read_d;
      if (step && gives_up) limit_q <= read_d + ptr_t'(DEPTH);
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
  int occupancy, peak;
  longint steps;
  assign occupancy = DEPTH + int'(room);
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      peak  <= 0;
      steps <= 0;
    end else begin
      if (occupancy + int'(accept) > peak) peak <= occupancy + int'(accept);
      if (step) steps <= steps + 1;
    end
  end
  final $display("buffer %m depth %0d peak %0d now %0d steps %0d", DEPTH, peak, occupancy, steps);
`endif

endmodule
