// SPDX-License-Identifier: MIT-0
// Of simulation only: prints at the end how full a memory became, and how many steps read it.
//
// used_i is the number of words in it when a cycle begins; write_i adds one. Steps count up to the last that had image_i,
// so that steps into an image that never comes can be left out.
module buffer_monitor #(
  parameter int DEPTH = 1
) (
  input logic clk_i,
  input logic rst_ni,
  input int   used_i,
  input logic write_i,
  input logic step_i,
  input logic image_i
);

  int peak;
  longint steps, image_steps;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      peak        <= 0;
      steps       <= 0;
      image_steps <= 0;
    end else begin
      if (used_i + int'(write_i) > peak) peak <= used_i + int'(write_i);
      if (step_i) steps <= steps + 1;
      if (step_i && image_i) image_steps <= steps + 1;
    end
  end
  final $display("buffer %m depth %0d peak %0d now %0d steps %0d", DEPTH, peak, used_i, image_steps);

endmodule
