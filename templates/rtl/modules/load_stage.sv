// SPDX-License-Identifier: MIT-0
// A stage of the load bus: takes the first WORDS words after a start for one memory, and passes the others on.
//
// A bus is {start, valid, 32 bits of data}. It never waits. All of it is registers, so no stage needs a reset: a start
// comes before the first word.
module load_stage
  import codesign_pkg::*;
#(
  parameter int WORDS = 1
) (
  input  logic        clk_i,
  input  logic [33:0] load_i,
  output logic [33:0] own_o,
  output logic [33:0] next_o
);

  localparam int LeftBits = counter_bits(WORDS);

  logic start, valid, start_q, own_q, next_q, full_q;
  logic [31:0] data_q;
  logic [LeftBits-1:0] left_q;
  assign {start, valid} = load_i[33:32];
  assign own_o  = {start_q, own_q, data_q};
  assign next_o = {start_q, next_q, data_q};
  always_ff @(posedge clk_i) begin
    start_q <= start;
    own_q   <= valid && !full_q;
    next_q  <= valid && full_q;
    data_q  <= load_i[31:0];
    if (start) begin
      full_q <= 1'b0;
      left_q <= LeftBits'(WORDS - 1);
    end else if (valid && !full_q) begin
      full_q <= left_q == '0;
      left_q <= left_q - 1'b1;
    end
  end

endmodule
