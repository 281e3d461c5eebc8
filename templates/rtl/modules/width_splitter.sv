// SPDX-License-Identifier: MIT-0
// Cuts words of IN units into words of OUT, at most IN; a packet's last word is padded with zeros.
//
// PACKET_IN is a multiple of PACKET_OUT: an input packet ends with its last output word. An output word lies in two input
// words that follow one another: the one before, which is kept, and the one in front. It is cut out of both in stages
// of at most four choices. Nothing waits behind the first stage: see output_queue.sv. Which words reach into the next
// input word, and where they begin, is found a step ahead.
module width_splitter
  import codesign_pkg::*;
#(
  parameter int UNIT_BITS = 8,
  parameter int IN = 4,
  parameter int OUT = 3,
  parameter int PACKET_IN = 12,
  parameter int PACKET_OUT = 12
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  input  logic [IN-1:0][UNIT_BITS-1:0]  data_i,
  input  logic                          valid_i,
  output logic                          ready_o,
  output logic [OUT-1:0][UNIT_BITS-1:0] data_o,
  output logic                          valid_o,
  input  logic                          ready_i
);

  localparam int OutWords = ceil_div(PACKET_OUT, OUT);
  localparam int OutLast = PACKET_OUT - (OutWords - 1) * OUT;
  localparam int Packets = PACKET_IN / PACKET_OUT;
  localparam bit OneWord = PACKET_IN <= OUT;
  localparam int PlaceBits = counter_bits(IN);
  localparam int Digits = (PlaceBits + 1) / 2;
  typedef logic [PlaceBits-1:0] place_t;

  // The units of the word before are numbered from 0, those of the word in front from IN. A word begins at place + 1:
  // never at unit 0, because a word that is kept has given at least one unit.
  place_t place_q, next_place_q, after;
  logic reaches_q, short_q, next_reaches, next_short, next_ends, go, step;
  assign step    = go && (!reaches_q || valid_i);
  assign ready_o = go && reaches_q;

  logic [PlaceBits:0] taken;
  assign taken        = next_short ? (PlaceBits + 1)'(OutLast) : (PlaceBits + 1)'(OUT);
  assign next_reaches = {1'b0, next_place_q} + taken >= (PlaceBits + 1)'(IN);
  always_comb begin
    after = place_t'({1'b0, next_place_q} + taken - (next_reaches ? (PlaceBits + 1)'(IN) : '0));
    if (next_ends) after = place_t'(IN - 1);
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      place_q      <= place_t'(IN - 1);
      reaches_q    <= 1'b1;
      short_q      <= 1'b0;
      next_place_q <= OneWord ? place_t'(IN - 1) : place_t'(OUT - 1);
    end else if (step) begin
      place_q      <= next_place_q;
      reaches_q    <= next_reaches;
      short_q      <= next_short;
      next_place_q <= after;
    end
  end

  // The word after the present one: the last of its packet, and of the input's packet.
  if (OutWords == 1) begin : g_one
    assign next_short = 1'b0;
  end else begin : g_words
    localparam int WordBits = counter_bits(OutWords);
    logic [WordBits-1:0] word_q;
    assign next_short = word_q == WordBits'(OutWords - 1);
    always_ff @(posedge clk_i) begin
      if (!rst_ni) word_q <= WordBits'(1);
      else if (step) word_q <= next_short ? '0 : word_q + 1'b1;
    end
  end
  if (PACKET_IN % IN == 0) begin : g_whole
    assign next_ends = 1'b0;  // the place is right without this
  end else if (Packets == 1) begin : g_alike
    assign next_ends = OutWords == 1 || next_short;
  end else begin : g_packets
    localparam int PacketBits = counter_bits(Packets);
    logic [PacketBits-1:0] packet_q;
    logic final_q, ends;
    assign ends      = OutWords == 1 || next_short;
    assign next_ends = ends && final_q;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        packet_q <= PacketBits'(OutWords == 1);
        final_q  <= OutWords == 1 && Packets == 2;
      end else if (step && ends) begin
        packet_q <= final_q ? '0 : packet_q + 1'b1;
        final_q  <= packet_q == PacketBits'(Packets - 2);
      end
    end
  end

  // Unit 0 of the word before is never wanted.
  logic [2*IN-2:0][UNIT_BITS-1:0] both;
  if (IN == 1) begin : g_front
    assign both = data_i;
  end else begin : g_both
    logic [IN-2:0][UNIT_BITS-1:0] before_q;
    always_ff @(posedge clk_i) begin
      if (valid_i && ready_o) before_q <= data_i[IN-1:1];
    end
    assign both = {data_i, before_q};
  end

  // Stage s moves by the digit of weight 4**(Digits - 1 - s) of the place.
  logic [Digits:0] valid;
  assign valid[0] = step;
  for (genvar s = 0; s < Digits; s++) begin : g_stage
    localparam int Step = 1 << (2 * (Digits - 1 - s));
    localparam int Units = OUT + Step - 1;
    localparam int From = (s == 0) ? 2 * IN - 1 : OUT + 4 * Step - 1;
    localparam int Choices = (s == 0) ? (IN - 1) / Step + 1 : 4;
    localparam int ChoiceBits = counter_bits(Choices);
    logic [From-1:0][UNIT_BITS-1:0] from;
    logic [ChoiceBits-1:0] digit;
    logic [Units-1:0][UNIT_BITS-1:0] cut, cut_q;
    logic masked, valid_q;
    place_t place;
    if (s == 0) begin : g_first
      assign from   = both;
      assign place  = place_q;
      assign masked = short_q;
    end else begin : g_next
      always_ff @(posedge clk_i) begin
        place  <= g_stage[s-1].place;
        masked <= g_stage[s-1].masked;
      end
      assign from = g_stage[s-1].cut_q;
    end
    assign digit = place[2*(Digits-1-s)+:ChoiceBits];
    for (genvar i = 0; i < Units; i++) begin : g_unit
      logic [(1<<ChoiceBits)-1:0][UNIT_BITS-1:0] choice;
      for (genvar c = 0; c < (1 << ChoiceBits); c++) begin : g_choice
        assign choice[c] = from[min(i+c*Step, From-1)];  // what lies beyond is not wanted
      end
      assign cut[i] = choice[digit];
      if (s == Digits - 1 && OutLast != OUT && i >= OutLast) begin : g_masked
        always_ff @(posedge clk_i) begin
          if (masked) cut_q[i] <= '0;
          else cut_q[i] <= cut[i];
        end
      end else begin : g_free
        always_ff @(posedge clk_i) cut_q[i] <= cut[i];
      end
    end
    always_ff @(posedge clk_i) begin
      if (!rst_ni) valid_q <= 1'b0;
      else valid_q <= valid[s];
    end
    assign valid[s+1] = valid_q;
    logic unused;
    assign unused = &{1'b0, place, masked};
  end

  output_queue #(
    .WORD_BITS(OUT * UNIT_BITS), .DEPTH(output_depth(Digits))
  ) u_queue (
    .clk_i, .rst_ni,
    .take_i(step),
    .go_o(go),
    .data_i(g_stage[Digits-1].cut_q),
    .valid_i(valid[Digits]),
    .data_o, .valid_o, .ready_i
  );

endmodule
