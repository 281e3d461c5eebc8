// SPDX-License-Identifier: MIT-0
// The words of a line engine's results in front of its consumer, and a place for every result that is still on its way.
//
// The last step of a result is taken (take_i) only while go_o holds: then the queue has promised room for its words. So
// nothing in front of the queue ever waits, and no array needs an enable. A word that leaves gives its place back one
// cycle later. A word can leave in the cycle after it came.
//
// A pixel has K results in ceil(K/PE) groups of PE, each PE/EMIT words; the last group may have fewer. DEPTH: a power of
// two, at least the words of a result; codesign/machine/modules.py says how many let an engine never wait.
module output_queue
  import codesign_pkg::*;
#(
  parameter int K = 1,
  parameter int PE = 1,
  parameter int EMIT = 1,
  parameter int WORD_BITS = 8,
  parameter int DEPTH = 16
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 take_i,  // the last step of a result is taken
  output logic                 go_o,    // the last step of the next result may be taken: a register
  input  logic [WORD_BITS-1:0] data_i,
  input  logic                 valid_i,
  output logic [WORD_BITS-1:0] data_o,
  output logic                 valid_o,
  input  logic                 ready_i
);

  localparam int Words = PE / EMIT;
  localparam int Passes = ceil_div(K, PE);
  localparam int LastWords = ceil_div(K - (Passes - 1) * PE, EMIT);
  localparam int AddressBits = $clog2(DEPTH);
  localparam int CountBits = $clog2(DEPTH + 1);
  localparam int RoomBits = CountBits + 1;
  typedef logic signed [RoomBits-1:0] room_t;

  // Places that are not promised, less those of one result: its sign says whether another result finds room.
  room_t room_q, claim;
  logic  give_q;
  assign go_o = !room_q[RoomBits-1];
  if (LastWords == Words) begin : g_full
    assign claim = room_t'(Words);
  end else begin : g_partial
    localparam int PassBits = counter_bits(Passes);
    logic [PassBits-1:0] pass_q;
    logic last;
    assign last  = pass_q == PassBits'(Passes - 1);
    assign claim = last ? room_t'(LastWords) : room_t'(Words);
    always_ff @(posedge clk_i) begin
      if (!rst_ni) pass_q <= '0;
      else if (take_i) pass_q <= last ? '0 : pass_q + 1'b1;
    end
  end

  logic pop;
  assign pop = valid_o && ready_i;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      room_q <= room_t'(DEPTH - Words);
      give_q <= 1'b0;
    end else begin
      room_q <= room_q + room_t'({1'b0, give_q}) - (take_i ? claim : '0);
      give_q <= pop;
    end
  end

  logic [CountBits-1:0] count_q;
  logic [AddressBits-1:0] write_q, read_q;
  logic many;
  assign many = count_q > CountBits'(1);
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      count_q <= '0;
      write_q <= '0;
      read_q  <= '0;
      valid_o <= 1'b0;
    end else begin
      if (valid_i != pop) count_q <= valid_i ? count_q + 1'b1 : count_q - 1'b1;
      if (valid_i) write_q <= write_q + 1'b1;
      if (pop) read_q <= read_q + 1'b1;
      valid_o <= valid_i || (ready_i ? many : valid_o);
    end
  end

  (* ram_style = "distributed" *)
  logic [WORD_BITS-1:0] memory[DEPTH];
  always_ff @(posedge clk_i) begin
    if (valid_i) memory[write_q] <= data_i;
  end
  assign data_o = memory[read_q];

`ifndef SYNTHESIS
  always @(posedge clk_i) begin
    if (rst_ni && valid_i && count_q == CountBits'(DEPTH)) $fatal(1, "%m: a word came without a place");
  end
`endif

endmodule
