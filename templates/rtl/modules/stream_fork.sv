// SPDX-License-Identifier: MIT-0
// Gives every word to two consumers, each in its own time; the word leaves when both have taken it.
module stream_fork #(
  parameter int WORD_BITS = 8
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic [WORD_BITS-1:0] data_i,
  input  logic                 valid_i,
  output logic                 ready_o,
  output logic [WORD_BITS-1:0] a_data_o,
  output logic                 a_valid_o,
  input  logic                 a_ready_i,
  output logic [WORD_BITS-1:0] b_data_o,
  output logic                 b_valid_o,
  input  logic                 b_ready_i
);

  logic a_done_q, b_done_q, a_done, b_done;

  assign a_data_o  = data_i;
  assign b_data_o  = data_i;
  assign a_valid_o = valid_i && !a_done_q;
  assign b_valid_o = valid_i && !b_done_q;
  assign a_done    = a_done_q || a_ready_i;
  assign b_done    = b_done_q || b_ready_i;
  assign ready_o   = a_done && b_done;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || (valid_i && ready_o)) begin
      a_done_q <= 1'b0;
      b_done_q <= 1'b0;
    end else if (valid_i) begin
      a_done_q <= a_done;
      b_done_q <= b_done;
    end
  end

endmodule
