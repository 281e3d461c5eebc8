// SPDX-License-Identifier: MIT-0
// Any word width to any other, any packet to any other: a short queue of units, filled at its end, emptied at its start.
//
// A unit is as many elements as both sides always move together. The queue holds one input word and two output words:
// enough to take a word in every cycle, or to give one in every cycle, whichever side is the slower.
module width_gearbox
  import codesign_pkg::*;
#(
  parameter int BITS = 8,
  parameter int IN_LANES = 3,
  parameter int IN_PACKET = 3,
  parameter int OUT_LANES = 2,
  parameter int OUT_PACKET = 3
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic [IN_LANES-1:0][BITS-1:0]  data_i,
  input  logic                           valid_i,
  output logic                           ready_o,
  output logic [OUT_LANES-1:0][BITS-1:0] data_o,
  output logic                           valid_o,
  input  logic                           ready_i
);

  localparam int UnitLanes = gcd(gcd(IN_LANES, OUT_LANES), gcd(IN_PACKET, OUT_PACKET));
  localparam int UnitBits = UnitLanes * BITS;
  localparam int In = IN_LANES / UnitLanes;
  localparam int Out = OUT_LANES / UnitLanes;
  localparam int InWords = ceil_div(IN_PACKET, IN_LANES);
  localparam int OutWords = ceil_div(OUT_PACKET, OUT_LANES);
  localparam int InLast = IN_PACKET / UnitLanes - (InWords - 1) * In;
  localparam int OutLast = OUT_PACKET / UnitLanes - (OutWords - 1) * Out;
  localparam int Capacity = In + 2 * Out;
  localparam int CountBits = $clog2(Capacity + 1);
  typedef logic [CountBits-1:0] count_t;

  logic [Capacity-1:0][UnitBits-1:0] queue_q, queue_d, rest;
  logic [In-1:0][UnitBits-1:0] in;
  count_t count_q, left, push_units, pop_units;
  logic push, pop, last_in, last_out;

  assign in         = data_i;
  assign push_units = last_in ? count_t'(InLast) : count_t'(In);
  assign pop_units  = last_out ? count_t'(OutLast) : count_t'(Out);
  assign ready_o    = count_q <= count_t'(Capacity - In);
  assign valid_o    = count_q >= pop_units;
  assign push       = valid_i && ready_o;
  assign pop        = valid_o && ready_i;
  assign left       = pop ? count_q - pop_units : count_q;

  always_comb begin
    rest = queue_q;
    if (pop) rest = last_out ? queue_q >> (OutLast * UnitBits) : queue_q >> (Out * UnitBits);
    queue_d = rest;
    if (push) begin
      for (int position = 0; position <= Capacity - In; position++) begin
        if (left == count_t'(position)) begin
          for (int i = 0; i < In; i++) queue_d[position+i] = in[i];
        end
      end
    end
  end

  logic [Out-1:0][UnitBits-1:0] out;
  assign data_o = out;
  for (genvar i = 0; i < Out; i++) begin : g_out
    if (i < OutLast) begin : g_always
      assign out[i] = queue_q[i];
    end else begin : g_masked
      assign out[i] = last_out ? '0 : queue_q[i];
    end
  end

  if (InWords > 1 && InLast != In) begin : g_in
    localparam int WordBits = counter_bits(InWords);
    logic [WordBits-1:0] word_q;
    assign last_in = word_q == WordBits'(InWords - 1);
    always_ff @(posedge clk_i) begin
      if (!rst_ni) word_q <= '0;
      else if (push) word_q <= last_in ? '0 : word_q + 1'b1;
    end
  end else begin : g_in_constant
    assign last_in = InLast != In;
  end

  if (OutWords > 1 && OutLast != Out) begin : g_out_count
    localparam int WordBits = counter_bits(OutWords);
    logic [WordBits-1:0] word_q;
    assign last_out = word_q == WordBits'(OutWords - 1);
    always_ff @(posedge clk_i) begin
      if (!rst_ni) word_q <= '0;
      else if (pop) word_q <= last_out ? '0 : word_q + 1'b1;
    end
  end else begin : g_out_constant
    assign last_out = OutLast != Out;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) count_q <= '0;
    else count_q <= left + (push ? push_units : '0);
  end
  always_ff @(posedge clk_i) begin
    if (push || pop) queue_q <= queue_d;
  end

endmodule
