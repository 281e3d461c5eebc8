// SPDX-License-Identifier: MIT-0
// Joins words of IN units to words of OUT, more than IN; a packet's last word is padded with zeros.
//
// PACKET_OUT is a multiple of PACKET_IN, of whose last word only the real units count: an output packet ends with its
// last input word. An input word is moved to its place in stages of at most four choices, and joined to the units before
// it. What it has too much for an output word begins the next; at the end of a packet that rest leaves one cycle later.
// Nothing waits behind the first stage: see output_queue.sv. Places are found a word ahead.
module width_packer
  import codesign_pkg::*;
#(
  parameter int UNIT_BITS = 8,
  parameter int IN = 3,
  parameter int OUT = 4,
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

  localparam int InWords = ceil_div(PACKET_IN, IN);
  localparam int InLast = PACKET_IN - (InWords - 1) * IN;
  localparam int OutLast = PACKET_OUT - (ceil_div(PACKET_OUT, OUT) - 1) * OUT;
  localparam int Packets = PACKET_OUT / PACKET_IN;
  localparam int PlaceBits = counter_bits(OUT);
  localparam int Digits = (PlaceBits + 1) / 2;
  typedef logic [PlaceBits-1:0] place_t;

  // What is known of a word: whether it is the last of its packet, and of the output's packet, and the units before it.
  // Also whether it completes an output word, and whether that is the last one and padded. Also whether it leaves a
  // rest at the end of the output's packet.
  typedef struct packed {
    place_t place;
    logic   completes;
    logic   padded;
    logic   rests;
  } plan_t;

  logic last, ends, full, accept, go, flush_q, flush;
  place_t place_q, after;
  logic [PlaceBits:0] sum;
  plan_t plan, plan_q;
  assign sum  = {1'b0, place_q} + (last ? (PlaceBits + 1)'(InLast) : (PlaceBits + 1)'(IN));
  assign full = sum >= (PlaceBits + 1)'(OUT);
  assign plan.place     = place_q;
  assign plan.completes = full || ends;
  assign plan.padded    = ends && !full;
  assign plan.rests     = ends && sum > (PlaceBits + 1)'(OUT);
  assign after = ends ? '0 : place_t'(full ? sum - (PlaceBits + 1)'(OUT) : sum);

  // A plan is made for the first word in the first cycle after reset.
  logic planned_q, advance;
  assign advance = accept || !planned_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      planned_q <= 1'b0;
      place_q   <= '0;
    end else begin
      planned_q <= 1'b1;
      if (advance) place_q <= after;
    end
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni) plan_q <= '0;
    else if (advance) plan_q <= plan;
  end

  if (InWords == 1) begin : g_one
    assign last = 1'b1;
  end else begin : g_words
    localparam int WordBits = counter_bits(InWords);
    logic [WordBits-1:0] word_q;
    assign last = word_q == WordBits'(InWords - 1);
    always_ff @(posedge clk_i) begin
      if (!rst_ni) word_q <= '0;
      else if (advance) word_q <= last ? '0 : word_q + 1'b1;
    end
  end
  if (PACKET_OUT % OUT == 0) begin : g_whole
    assign ends = 1'b0;  // the place is right without this
  end else if (Packets == 1) begin : g_alike
    assign ends = last;
  end else begin : g_packets
    localparam int PacketBits = counter_bits(Packets);
    logic [PacketBits-1:0] packet_q;
    logic final_q;
    assign ends = last && final_q;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        packet_q <= '0;
        final_q  <= 1'b0;
      end else if (advance && last) begin
        packet_q <= final_q ? '0 : packet_q + 1'b1;
        final_q  <= packet_q == PacketBits'(Packets - 2);
      end
    end
  end

  // A rest leaves as soon as it may. The word beside it is the first of a packet, which never completes one: OUT > IN.
  assign ready_o = planned_q && (go || !(plan_q.completes || flush_q));
  assign accept  = valid_i && ready_o;
  assign flush   = flush_q && go;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) flush_q <= 1'b0;
    else if (accept) flush_q <= plan_q.rests;
    else if (go) flush_q <= 1'b0;
  end

  // Stage s moves by the digit of weight 4**s of the place.
  typedef struct packed {
    logic   word;
    logic   flush;
    logic   complete;
    logic   padded;
    place_t place;
  } slot_t;
  for (genvar s = 0; s < Digits; s++) begin : g_stage
    localparam int Step = 1 << (2 * s);
    localparam int From = IN + min(Step, OUT) - 1;
    localparam int Units = IN + min(4 * Step, OUT) - 1;
    localparam int ChoiceBits = min(PlaceBits - 2 * s, 2);
    logic [From-1:0][UNIT_BITS-1:0] from;
    logic [Units-1:0][UNIT_BITS-1:0] moved_q;
    slot_t slot, slot_q;
    logic [ChoiceBits-1:0] digit;
    if (s == 0) begin : g_first
      assign from = data_i;
      assign slot.word     = accept;
      assign slot.flush    = flush;
      assign slot.complete = accept && plan_q.completes && !flush_q;
      assign slot.padded   = flush_q || plan_q.padded;
      assign slot.place    = plan_q.place;
    end else begin : g_next
      assign from = g_stage[s-1].moved_q;
      assign slot = g_stage[s-1].slot_q;
    end
    assign digit = slot.place[2*s+:ChoiceBits];
    for (genvar i = 0; i < Units; i++) begin : g_unit
      logic [(1<<ChoiceBits)-1:0][UNIT_BITS-1:0] choice;
      for (genvar c = 0; c < (1 << ChoiceBits); c++) begin : g_choice
        if (i >= c * Step && i - c * Step < From) begin : g_moved
          assign choice[c] = from[i-c*Step];
        end else begin : g_none
          assign choice[c] = '0;
        end
      end
      always_ff @(posedge clk_i) moved_q[i] <= choice[digit];
    end
    always_ff @(posedge clk_i) begin
      if (!rst_ni) slot_q <= '0;
      else slot_q <= slot;
    end
  end

  // Units before a word are those of the words before it. Choices are registered beside every unit.
  localparam int Moved = IN + OUT - 1;
  logic [Moved-1:0][UNIT_BITS-1:0] moved;
  logic [OUT-1:0][UNIT_BITS-1:0] rest_q, joined_q;
  logic joined_valid_q;
  slot_t near, last_slot;
  if (Digits == 1) begin : g_near
    assign near = g_stage[0].slot;
  end else begin : g_far
    assign near = g_stage[Digits-2].slot_q;
  end
  assign last_slot = g_stage[Digits-1].slot_q;
  assign moved     = g_stage[Digits-1].moved_q;
  logic unused;
  assign unused = &{1'b0, near, last_slot};
  for (genvar k = 0; k < OUT; k++) begin : g_join
    logic old, old_q, load_q;
    assign old = {1'b0, near.place} > (PlaceBits + 1)'(k);
    always_ff @(posedge clk_i) begin
      old_q  <= near.flush || old;
      load_q <= near.word && (near.flush || !old);
    end
    if (k < IN - 1) begin : g_rest
      always_ff @(posedge clk_i) begin
        if (last_slot.complete) rest_q[k] <= moved[OUT+k];
        else if (load_q) rest_q[k] <= moved[k];
      end
    end else begin : g_plain
      always_ff @(posedge clk_i) begin
        if (load_q) rest_q[k] <= moved[k];
      end
    end
    if (k >= OutLast) begin : g_masked
      always_ff @(posedge clk_i) begin
        if (last_slot.padded) joined_q[k] <= '0;
        else joined_q[k] <= old_q ? rest_q[k] : moved[k];
      end
    end else begin : g_free
      always_ff @(posedge clk_i) joined_q[k] <= old_q ? rest_q[k] : moved[k];
    end
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni) joined_valid_q <= 1'b0;
    else joined_valid_q <= last_slot.complete || last_slot.flush;
  end

  output_queue #(
    .WORD_BITS(OUT * UNIT_BITS), .DEPTH(output_depth(Digits + 1))
  ) u_queue (
    .clk_i, .rst_ni,
    .take_i(flush || (accept && plan_q.completes && !flush_q)),
    .go_o(go),
    .data_i(joined_q),
    .valid_i(joined_valid_q),
    .data_o, .valid_o, .ready_i
  );

endmodule
