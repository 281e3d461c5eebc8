// SPDX-License-Identifier: MIT-0
// Collects words of IN_LANES into words of OUT_LANES, a multiple; a packet's last word may be short of some.
module width_widener
  import codesign_pkg::*;
#(
  parameter int BITS = 8,
  parameter int IN_LANES = 1,
  parameter int OUT_LANES = 2,
  parameter int PACKET = 2  // elements between forced word ends
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic [IN_LANES-1:0][BITS-1:0]  data_i,
  input  logic                           valid_i,
  output logic                           ready_o,
  output logic [OUT_LANES-1:0][BITS-1:0] data_o,
  output logic                           valid_o,
  input  logic                           ready_i
);

  localparam int Parts = OUT_LANES / IN_LANES;
  localparam int PartBits = counter_bits(Parts);
  localparam int WordBits = IN_LANES * BITS;
  localparam int PacketWords = ceil_div(PACKET, IN_LANES);
  localparam bit HasShortWord = PacketWords % Parts != 0;

  logic [Parts-1:0][WordBits-1:0] data_q;
  logic [PartBits-1:0] part_q;
  logic accept, last_part;

  assign ready_o = !valid_o || ready_i;
  assign accept  = valid_i && ready_o;

  if (HasShortWord) begin : g_short
    localparam int CountBits = counter_bits(PacketWords);
    localparam int ShortParts = PacketWords % Parts;
    logic [CountBits-1:0] word_q;
    logic last_word, short_q;
    assign last_word = word_q == CountBits'(PacketWords - 1);
    assign last_part = last_word || part_q == PartBits'(Parts - 1);
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        word_q  <= '0;
        short_q <= 1'b0;
      end else if (accept) begin
        word_q  <= last_word ? '0 : word_q + 1'b1;
        short_q <= last_word;
      end
    end
    logic [Parts-1:0][WordBits-1:0] out;
    assign data_o = out;
    for (genvar i = 0; i < Parts; i++) begin : g_part
      if (i < ShortParts) begin : g_always
        assign out[i] = data_q[i];
      end else begin : g_masked
        assign out[i] = short_q ? '0 : data_q[i];
      end
    end
  end else begin : g_full
    assign last_part = part_q == PartBits'(Parts - 1);
    assign data_o    = data_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      part_q  <= '0;
      valid_o <= 1'b0;
    end else begin
      if (accept) part_q <= last_part ? '0 : part_q + 1'b1;
      if (accept) valid_o <= last_part;
      else if (ready_i) valid_o <= 1'b0;
    end
  end

  for (genvar i = 0; i < Parts; i++) begin : g_load
    always_ff @(posedge clk_i) begin
      if (accept && part_q == PartBits'(i)) data_q[i] <= data_i;
    end
  end

endmodule
