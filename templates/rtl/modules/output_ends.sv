// SPDX-License-Identifier: MIT-0
// Ends of images on several output streams: marks the last beat of an image on each, and tells when all have given one.
//
// accel_control then counts images, whichever output is last. An output may be ahead of the others by many images.
module output_ends
  import codesign_pkg::*;
#(
  parameter int OUTPUTS = 2,
  parameter logic [32*OUTPUTS-1:0] BEATS = '1  // per image, of output 0 in the low bits
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic [OUTPUTS-1:0] beat_i,  // a beat of that output passed
  output logic [OUTPUTS-1:0] last_o,  // the present beat of that output ends an image
  output logic               image_o  // all outputs have given one more image
);

  logic [OUTPUTS-1:0] given;
  assign image_o = &given;

  for (genvar i = 0; i < OUTPUTS; i++) begin : g_output
    localparam int Beats = BEATS[32*i+:32];
    localparam int Bits = counter_bits(Beats);
    logic [Bits-1:0] beat_q;
    logic [31:0] ahead_q;  // images that this output has given and another has not
    logic ends;
    assign last_o[i] = beat_q == Bits'(Beats - 1);
    assign ends      = beat_i[i] && last_o[i];
    assign given[i]  = ends || ahead_q != 0;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        beat_q  <= '0;
        ahead_q <= '0;
      end else begin
        if (beat_i[i]) beat_q <= last_o[i] ? '0 : beat_q + 1'b1;
        if (ends && !image_o) ahead_q <= ahead_q + 1;
        else if (image_o && !ends) ahead_q <= ahead_q - 1;
      end
    end
  end

endmodule
