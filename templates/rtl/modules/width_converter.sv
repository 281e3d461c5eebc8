// SPDX-License-Identifier: MIT-0
// Turns words of IN_LANES elements into words of OUT_LANES, without costing a cycle.
//
// Elements come in packets of IN_PACKET, the last word of each padded. They leave in packets of OUT_PACKET, the last
// word of each padded with zeros. The elements themselves are one stream. Pixels of 5 channels, a map of 245 elements,
// and a fully connected layer's single pixel of 245 channels differ only in their padding. One packet is a whole number
// of the other. Equal words pass through in no time. A word of a widener or narrower can leave one cycle after the
// element that completes it came, any other some cycles later.
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
    // A unit is as many elements as both sides always move together. Of a packet's only word, only the real units count.
    localparam int Lanes = gcd(gcd(IN_LANES, OUT_LANES), gcd(IN_PACKET, OUT_PACKET));
    localparam int UnitBits = Lanes * BITS;
    localparam int PacketIn = IN_PACKET / Lanes;
    localparam int PacketOut = OUT_PACKET / Lanes;
    localparam int In = min(IN_LANES / Lanes, PacketIn);
    localparam int Out = min(OUT_LANES / Lanes, PacketOut);
    logic [In-1:0][UnitBits-1:0] in;
    logic [Out-1:0][UnitBits-1:0] out;
    assign in     = (In * UnitBits)'(data_i);
    assign data_o = (OUT_LANES * BITS)'(out);
    logic unused;
    assign unused = &{1'b0, data_i};

    if (PacketIn % PacketOut == 0 && (PacketIn != PacketOut || In >= Out)) begin : g_split
      localparam int Words = ceil_div(Out, In);
      logic [Words*In-1:0][UnitBits-1:0] wide;
      logic wide_valid, wide_ready;
      if (Words == 1) begin : g_wire
        assign wide       = in;
        assign wide_valid = valid_i;
        assign ready_o    = wide_ready;
      end else begin : g_wide
        width_widener #(
          .BITS(UnitBits), .IN_LANES(In), .OUT_LANES(Words * In), .PACKET(PacketIn)
        ) u_widener (
          .clk_i, .rst_ni, .data_i(in), .valid_i, .ready_o,
          .data_o(wide), .valid_o(wide_valid), .ready_i(wide_ready)
        );
      end
      localparam int Units = gcd(gcd(Words * In, Out), gcd(PacketIn, PacketOut));
      width_splitter #(
        .UNIT_BITS(Units * UnitBits), .IN(Words * In / Units), .OUT(Out / Units),
        .PACKET_IN(PacketIn / Units), .PACKET_OUT(PacketOut / Units)
      ) u_splitter (
        .clk_i, .rst_ni, .data_i(wide), .valid_i(wide_valid), .ready_o(wide_ready),
        .data_o(out), .valid_o, .ready_i
      );
    end else begin : g_pack
      localparam int Words = In / Out + 1;
      logic [Words*Out-1:0][UnitBits-1:0] wide;
      logic wide_valid, wide_ready;
      localparam int Units = gcd(gcd(In, Words * Out), gcd(PacketIn, PacketOut));
      width_packer #(
        .UNIT_BITS(Units * UnitBits), .IN(In / Units), .OUT(Words * Out / Units),
        .PACKET_IN(PacketIn / Units), .PACKET_OUT(PacketOut / Units)
      ) u_packer (
        .clk_i, .rst_ni, .data_i(in), .valid_i, .ready_o,
        .data_o(wide), .valid_o(wide_valid), .ready_i(wide_ready)
      );
      if (Words == 1) begin : g_wire
        assign out        = wide;
        assign valid_o    = wide_valid;
        assign wide_ready = ready_i;
      end else begin : g_narrow
        width_narrower #(
          .BITS(UnitBits), .IN_LANES(Words * Out), .OUT_LANES(Out), .PACKET(PacketOut)
        ) u_narrower (
          .clk_i, .rst_ni, .data_i(wide), .valid_i(wide_valid), .ready_o(wide_ready),
          .data_o(out), .valid_o, .ready_i
        );
      end
    end
  end

endmodule
