// SPDX-License-Identifier: MIT-0
// Ends of images on several output streams. Marks the last beat of an image on each, and tells when all have given one.
//
// accel_control then counts images, whichever output is last. An output may be ahead of the others by 2**26 images,
// more than any machine holds. Images that all have given are reported two cycles late, see IN_LATE of
// accel_control.sv.
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

  localparam int AheadBits = 26;
  logic [OUTPUTS-1:0] given;
  logic all;
  assign all = &given;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) image_o <= 1'b0;
    else image_o <= all;
  end

  for (genvar i = 0; i < OUTPUTS; i++) begin : g_output
    localparam int Beats = BEATS[32*i+:32];
    localparam int Bits = counter_bits(Beats);
    logic [Bits-1:0] beat_q;
    logic [AheadBits-1:0] ahead_q;  // images that this output has given and another has not
    logic last_q, ends_q, some_q;
    assign last_o[i] = last_q;
    assign given[i]  = ends_q || some_q;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        beat_q  <= '0;
        last_q  <= Beats == 1;
        ends_q  <= 1'b0;
        ahead_q <= '0;
        some_q  <= 1'b0;
      end else begin
        if (beat_i[i]) beat_q <= last_q ? '0 : beat_q + 1'b1;
        if (beat_i[i]) last_q <= Beats == 1 || beat_q == Bits'(Beats - 2);
        ends_q <= beat_i[i] && last_q;
        if (ends_q != all) ahead_q <= ends_q ? ahead_q + 1'b1 : ahead_q - 1'b1;
        if (ends_q && !all) some_q <= 1'b1;
        else if (all && !ends_q) some_q <= ahead_q != 1;
      end
    end
  end

endmodule
