// SPDX-License-Identifier: MIT-0
// Takes the words of each input's pixel in turn: pixels side by side in channels. One register, a word a cycle.
//
// Input i has as many words a pixel as the i-th 32 bits of WORDS say; the stream of input 0 is lowest in every vector.
module channel_mux
  import codesign_pkg::*;
#(
  parameter int INPUTS = 2,
  parameter int WORD_BITS = 8,
  parameter logic [32*INPUTS-1:0] WORDS = {32'd1, 32'd1}
) (
  input  logic                             clk_i,
  input  logic                             rst_ni,
  input  logic [INPUTS-1:0][WORD_BITS-1:0] data_i,
  input  logic [INPUTS-1:0]                valid_i,
  output logic [INPUTS-1:0]                ready_o,
  output logic [WORD_BITS-1:0]             data_o,
  output logic                             valid_o,
  input  logic                             ready_i
);

  // Words of a pixel before those of an input; of all inputs, where there is no such input.
  function automatic int words_before(int index);
    int sum = 0;
    for (int i = 0; i < INPUTS; i++) begin
      if (i < index) sum = sum + int'(WORDS[32*i+:32]);
    end
    return sum;
  endfunction

  localparam int Total = words_before(INPUTS);
  localparam int WordBits = counter_bits(Total);

  logic [WordBits-1:0] word_q;
  logic [INPUTS-1:0] turn;
  for (genvar i = 0; i < INPUTS; i++) begin : g_turn
    localparam int First = words_before(i);
    localparam int Last = words_before(i + 1) - 1;
    if (i == 0) begin : g_first
      assign turn[i] = word_q <= WordBits'(Last);
    end else if (i == INPUTS - 1) begin : g_last
      assign turn[i] = word_q >= WordBits'(First);
    end else begin : g_between
      assign turn[i] = word_q >= WordBits'(First) && word_q <= WordBits'(Last);
    end
  end

  logic accept, ready;
  assign ready   = !valid_o || ready_i;
  assign accept  = ready && |(valid_i & turn);
  assign ready_o = (ready ? turn : '0) & valid_i;

  logic [WORD_BITS-1:0] chosen;
  always_comb begin
    chosen = '0;
    for (int i = 0; i < INPUTS; i++) chosen = chosen | (turn[i] ? data_i[i] : '0);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      word_q  <= '0;
      valid_o <= 1'b0;
    end else begin
      if (accept) word_q <= word_q == WordBits'(Total - 1) ? '0 : word_q + 1'b1;
      if (accept) valid_o <= 1'b1;
      else if (ready_i) valid_o <= 1'b0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (accept) data_o <= chosen;
  end

`ifndef SYNTHESIS
  longint steps;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) steps <= 0;
    else if (accept) steps <= steps + 1;
  end
  final $display("engine %m steps %0d", steps);
`endif

endmodule
