// SPDX-License-Identifier: MIT-0
// Turns words of IN_LANES elements into words of OUT_LANES, without costing a cycle.
//
// Elements come in packets of IN_PACKET, the last word of each padded; they leave in packets of OUT_PACKET, the last
// word of each padded with zeros. The elements themselves are one stream: a pixel of 5 channels, a map of 245 elements
// and a fully connected layer's single pixel of 245 channels differ only in where the padding lies.
// A word can leave one cycle after the element that completes it came; equal words pass through in no time.
module width_converter
  import codesign_pkg::*;
#(
  parameter int BITS = 8,
  parameter int IN_LANES = 1,
  parameter int IN_PACKET = 1,
  parameter int OUT_LANES = 1,
  parameter int OUT_PACKET = 1
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  input  logic [IN_LANES-1:0][BITS-1:0] data_i,
  input  logic                          valid_i,
  output logic                          ready_o,
  output logic [OUT_LANES-1:0][BITS-1:0] data_o,
  output logic                          valid_o,
  input  logic                          ready_i
);

  localparam bit SamePacket = IN_PACKET == OUT_PACKET;
  localparam bit IsWire = IN_LANES == OUT_LANES
                          && (SamePacket || (IN_PACKET % IN_LANES == 0 && OUT_PACKET % IN_LANES == 0));
  localparam bit IsWidening = OUT_LANES % IN_LANES == 0
                              && (SamePacket || (IN_PACKET % IN_LANES == 0 && OUT_PACKET % IN_LANES == 0));
  localparam bit IsNarrowing = IN_LANES % OUT_LANES == 0
                               && (SamePacket || (IN_PACKET % OUT_LANES == 0 && OUT_PACKET % OUT_LANES == 0));

  if (IsWire) begin : g_wire
    assign data_o  = data_i;
    assign valid_o = valid_i;
    assign ready_o = ready_i;
    logic unused;
    assign unused = &{1'b0, clk_i, rst_ni};
  end else if (IsWidening) begin : g_widen
    width_widener #(
      .BITS(BITS),
      .IN_LANES(IN_LANES),
      .OUT_LANES(OUT_LANES),
      .PACKET(OUT_PACKET)
    ) u_widener (
      .clk_i, .rst_ni, .data_i, .valid_i, .ready_o, .data_o, .valid_o, .ready_i
    );
  end else if (IsNarrowing) begin : g_narrow
    width_narrower #(
      .BITS(BITS),
      .IN_LANES(IN_LANES),
      .OUT_LANES(OUT_LANES),
      .PACKET(IN_PACKET)
    ) u_narrower (
      .clk_i, .rst_ni, .data_i, .valid_i, .ready_o, .data_o, .valid_o, .ready_i
    );
  end else begin : g_general
    width_gearbox #(
      .BITS(BITS),
      .IN_LANES(IN_LANES),
      .IN_PACKET(IN_PACKET),
      .OUT_LANES(OUT_LANES),
      .OUT_PACKET(OUT_PACKET)
    ) u_gearbox (
      .clk_i, .rst_ni, .data_i, .valid_i, .ready_o, .data_o, .valid_o, .ready_i
    );
  end

endmodule
