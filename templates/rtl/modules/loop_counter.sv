// SPDX-License-Identifier: MIT-0
// Counts the turns of a loop of COUNT, and tells the last one from a register.
module loop_counter #(
  parameter int COUNT = 1
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic step_i,
  output logic last_o
);

  if (COUNT == 1) begin : g_always
    assign last_o = 1'b1;
    logic unused;
    assign unused = &{1'b0, clk_i, rst_ni, step_i};
  end else if (COUNT == 2) begin : g_toggle
    always_ff @(posedge clk_i) begin
      if (!rst_ni) last_o <= 1'b0;
      else if (step_i) last_o <= !last_o;
    end
  end else begin : g_count
    localparam int Bits = $clog2(COUNT);
    logic [Bits-1:0] count_q;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        count_q <= '0;
        last_o  <= 1'b0;
      end else if (step_i) begin
        count_q <= last_o ? '0 : count_q + 1'b1;
        last_o  <= count_q == Bits'(COUNT - 2);
      end
    end
  end

endmodule
