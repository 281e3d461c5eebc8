// SPDX-License-Identifier: MIT-0
// Of simulation only: prints at the end how many steps an engine made.
module step_monitor (
  input logic clk_i,
  input logic rst_ni,
  input logic step_i
);

  longint steps;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) steps <= 0;
    else if (step_i) steps <= steps + 1;
  end
  final $display("engine %m steps %0d", steps);

endmodule
