// SPDX-License-Identifier: MIT-0
// Reads the words of a map in another order, or only some of them: nested loops over a circular memory.
//
// Loop 0 is the innermost. Loop i makes COUNTS[i] turns, each STRIDES[i] words further on than the one before; all begins
// at word FIRST of an image of IMAGE words. A step gives a word and costs a cycle. REACH: the furthest that the address
// moves forward in a step, and with it ahead of what has been written.
//
// A memory of DEPTH words (a power of two). All pointers count words from reset, modulo 2**PtrBits:
//   write_q  next word to be written
//   edge_q   DEPTH before the word after it
//   read_q   word of the present step, which may not have come yet
//   next_q   word of the step after it
//   held_q   oldest word that is still needed: writing stops DEPTH past it
// Words before the next are freed when all loops below FREE end. With PASS, they are freed only in the last turn of
// that loop.
// A word that arrives in one cycle can be read in the next. Whether a word is there for a step, and whether there is room
// for another, are registers. Nothing waits behind a step: see output_queue.sv.
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

  // How far the address moves where a loop advances and all loops below it restart. After the last, the image advances.
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

  ptr_t write_q, edge_q, read_q, read_d, next_q, held_q, held_d, behind, room;
  logic begun_q, there_q, full_q, gives_up_q, accept, step, advance, go;
  assign ready_o = !full_q;
  assign accept  = valid_i && !full_q;
  assign step    = there_q && go;
  assign advance = step || !begun_q;  // what follows a step is found one ahead, for the first after reset

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
      always_ff @(posedge clk_i) begin
        if (!rst_ni) turn_q <= '0;
        else if (advance && ends[i]) turn_q <= last[i] ? '0 : turn_q + 1'b1;
      end
      if (Count == 2) begin : g_two
        assign last[i] = turn_q[0];
      end else begin : g_ahead
        logic last_q;
        always_ff @(posedge clk_i) begin
          if (!rst_ni) last_q <= 1'b0;
          else if (advance && ends[i]) last_q <= turn_q == (counter_bits(Count))'(Count - 2);
        end
        assign last[i] = last_q;
      end
    end
  end

  logic [LOOPS:0][PtrBits-1:0] jumps;
  for (genvar i = 0; i <= LOOPS; i++) begin : g_jump
    assign jumps[i] = PtrBits'(jump_of(i));
  end
  logic [PtrBits-1:0] jump;
  always_comb begin
    jump = '0;
    for (int i = LOOPS; i >= 0; i--) begin
      if (!ends[i+1]) jump = jumps[i];
    end
  end

  assign read_d = step ? next_q : read_q;
  assign held_d = (step && gives_up_q) ? next_q : held_q;
  // read_d less what has been written, and the words that find room less one; `accept` comes in as the carry.
  logic [1:0] unused_carry;
  assign {behind, unused_carry[0]} = {read_d, 1'b1} + {~write_q, !accept};
  assign {room, unused_carry[1]}   = {held_d, 1'b1} + {~edge_q, !accept};
  logic [1:0] valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      begun_q    <= 1'b0;
      there_q    <= 1'b0;
      full_q     <= 1'b0;
      gives_up_q <= 1'b0;
      write_q    <= '0;
      edge_q     <= ptr_t'(1 - DEPTH);
      read_q     <= ptr_t'(FIRST);
      next_q     <= ptr_t'(FIRST);
      held_q     <= '0;
      valid_q    <= '0;
    end else begin
      begun_q <= 1'b1;
      there_q <= behind[PtrBits-1];
      full_q  <= room[PtrBits-1];
      if (accept) write_q <= write_q + 1'b1;
      if (accept) edge_q <= edge_q + 1'b1;
      read_q  <= read_d;
      held_q  <= held_d;
      valid_q <= {valid_q[0], step};
      if (advance) gives_up_q <= gives_up;
      if (advance) next_q <= next_q + ptr_t'(jump);
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
    .used_i(int'(used)),
    .write_i(accept),
    .step_i(step),
    .image_i(1'b1)
  );
`endif

endmodule
