// SPDX-License-Identifier: MIT-0
// Feed of an engine that reads every input word once and in order: no memory, one register.
//
// Replaces line_buffer where windows do not overlap, lie in stream order and are walked in one pass. Examples are a
// fully connected layer and a 1x1 convolution with PE = K. STEPS words make one result; the last of them waits for
// go_i.
module pass_feed
  import codesign_pkg::*;
#(
  parameter int WORD_BITS = 8,
  parameter int STEPS = 1
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic [WORD_BITS-1:0] data_i,
  input  logic                 valid_i,
  output logic                 ready_o,
  input  logic                 go_i,     // the last step of a result may be taken
  output logic                 issue_o,  // a step is taken in this cycle; its word follows one cycle later
  output logic                 take_o,   // and it is the last of a result
  output logic [WORD_BITS-1:0] data_o,
  output logic                 valid_o,
  output logic                 first_o,
  output logic                 last_o
);

  logic last_q, first_q;
  assign ready_o = !last_q || go_i;
  assign issue_o = valid_i && ready_o;
  assign take_o  = valid_i && last_q && go_i;

  if (STEPS == 1) begin : g_one
    assign last_q  = 1'b1;
    assign first_q = 1'b1;
  end else begin : g_many
    localparam int StepBits = counter_bits(STEPS);
    logic [StepBits-1:0] step_q;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        step_q  <= '0;
        first_q <= 1'b1;
        last_q  <= 1'b0;
      end else if (issue_o) begin
        step_q  <= last_q ? '0 : step_q + 1'b1;
        first_q <= last_q;
        last_q  <= step_q == StepBits'(STEPS - 2);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_o <= 1'b0;
    else valid_o <= issue_o;
  end
  always_ff @(posedge clk_i) begin
    data_o  <= data_i;
    first_o <= first_q;
    last_o  <= last_q;
  end

`ifndef SYNTHESIS
  buffer_monitor u_monitor (
    .clk_i, .rst_ni,
    .used_i(int'(valid_o)),
    .write_i(1'b0),
    .step_i(issue_o),
    .image_i(1'b1)
  );
`endif

endmodule
