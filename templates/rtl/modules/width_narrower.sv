// SPDX-License-Identifier: MIT-0
// Splits words of IN_LANES into words of OUT_LANES, a divisor; of a packet's last word only the real part leaves.
module width_narrower
  import codesign_pkg::*;
#(
  parameter int BITS = 8,
  parameter int IN_LANES = 2,
  parameter int OUT_LANES = 1,
  parameter int PACKET = 2  // elements after which the input's padding ends a word
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

  localparam int Parts = IN_LANES / OUT_LANES;
  localparam int CountBits = $clog2(Parts + 1);
  localparam int PacketWords = ceil_div(PACKET, IN_LANES);
  localparam int LastParts = ceil_div(PACKET - (PacketWords - 1) * IN_LANES, OUT_LANES);

  logic [IN_LANES-1:0][BITS-1:0] data_q;
  logic [CountBits-1:0] left_q, fresh;
  logic accept;

  assign valid_o = left_q != '0;
  assign ready_o = !valid_o || (ready_i && left_q == CountBits'(1));
  assign accept  = valid_i && ready_o;
  assign data_o  = data_q[OUT_LANES-1:0];

  if (LastParts != Parts) begin : g_short
    localparam int WordBits = counter_bits(PacketWords);
    logic [WordBits-1:0] word_q;
    logic last_word;
    assign last_word = word_q == WordBits'(PacketWords - 1);
    assign fresh     = last_word ? CountBits'(LastParts) : CountBits'(Parts);
    always_ff @(posedge clk_i) begin
      if (!rst_ni) word_q <= '0;
      else if (accept) word_q <= last_word ? '0 : word_q + 1'b1;
    end
  end else begin : g_full
    assign fresh = CountBits'(Parts);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) left_q <= '0;
    else if (accept) left_q <= fresh;
    else if (valid_o && ready_i) left_q <= left_q - 1'b1;
  end
  always_ff @(posedge clk_i) begin
    if (accept) data_q <= data_i;
    else if (valid_o && ready_i) data_q <= data_q >> (OUT_LANES * BITS);
  end

endmodule
