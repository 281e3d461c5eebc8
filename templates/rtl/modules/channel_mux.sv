// SPDX-License-Identifier: MIT-0
// Takes the words of each input's pixel in turn: pixels side by side in channels, a word a cycle.
//
// The input whose turn it is, is found a word ahead. Nothing waits behind the choice: see output_queue.sv.
//
// The i-th 32 bits of WORDS are the words of a pixel of input i. The stream of input 0 is lowest in every vector.
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

  localparam int InputBits = counter_bits(INPUTS);

  // The word after the present one, and whose turn it is then; whose turn it is at present.
  logic [WordBits-1:0] next_q;
  logic [InputBits-1:0] turn, turn_q;
  always_comb begin
    turn = '0;
    for (int i = 1; i < INPUTS; i++) begin
      if (next_q >= WordBits'(words_before(i))) turn = InputBits'(i);
    end
  end

  logic accept, go, valid_q;
  assign accept = go && valid_i[turn_q];
  for (genvar i = 0; i < INPUTS; i++) begin : g_ready
    assign ready_o[i] = go && valid_i[i] && turn_q == InputBits'(i);
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      next_q  <= WordBits'(1);
      turn_q  <= '0;
      valid_q <= 1'b0;
    end else begin
      if (accept) next_q <= next_q == WordBits'(Total - 1) ? '0 : next_q + 1'b1;
      if (accept) turn_q <= turn;
      valid_q <= accept;
    end
  end

  logic [WORD_BITS-1:0] chosen_q;
  always_ff @(posedge clk_i) chosen_q <= data_i[turn_q];

  output_queue #(
    .WORD_BITS(WORD_BITS), .DEPTH(output_depth(1))
  ) u_queue (
    .clk_i, .rst_ni,
    .take_i(accept),
    .go_o(go),
    .data_i(chosen_q),
    .valid_i(valid_q),
    .data_o, .valid_o, .ready_i
  );

`ifndef SYNTHESIS
  step_monitor u_monitor (
    .clk_i, .rst_ni,
    .step_i(accept)
  );
`endif

endmodule
