// SPDX-License-Identifier: MIT-0
// Takes PE results at once and gives them away EMIT at a time, lowest channel first.
//
// A pixel has K results in ceil(K/PE) groups; of the last group only as many words leave as hold real channels. The next
// results come when the last word of these leaves, or later: PE/EMIT is at most the steps of a result.
module collector
  import codesign_pkg::*;
#(
  parameter int PE = 4,
  parameter int EMIT = 1,
  parameter int K = 4,
  parameter int BITS = 24
) (
  input  logic                       clk_i,
  input  logic                       rst_ni,
  input  logic                       valid_i,
  input  logic [PE-1:0][BITS-1:0]    data_i,
  output logic                       valid_o,
  output logic [EMIT-1:0][BITS-1:0]  data_o
);

  if (PE == EMIT) begin : g_wire
    assign valid_o = valid_i;
    assign data_o  = data_i;
    logic unused;
    assign unused = &{1'b0, clk_i, rst_ni};
  end else begin : g_shift
    localparam int Passes = ceil_div(K, PE);
    localparam int Words = PE / EMIT;
    localparam int LastWords = ceil_div(K - (Passes - 1) * PE, EMIT);
    localparam int CountBits = $clog2(Words + 1);

    logic [PE-1:0][BITS-1:0] data_q;
    logic [CountBits-1:0] left_q, fresh;
    assign valid_o = left_q != '0;
    assign data_o  = data_q[EMIT-1:0];

    if (LastWords == Words) begin : g_full
      assign fresh = CountBits'(Words);
    end else begin : g_partial
      localparam int PassBits = counter_bits(Passes);
      logic [PassBits-1:0] pass_q;
      logic last;
      assign last  = pass_q == PassBits'(Passes - 1);
      assign fresh = last ? CountBits'(LastWords) : CountBits'(Words);
      always_ff @(posedge clk_i) begin
        if (!rst_ni) pass_q <= '0;
        else if (valid_i) pass_q <= last ? '0 : pass_q + 1'b1;
      end
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni) left_q <= '0;
      else if (valid_i) left_q <= fresh;
      else if (valid_o) left_q <= left_q - 1'b1;
    end
    always_ff @(posedge clk_i) begin
      if (valid_i) data_q <= data_i;
      else data_q <= data_q >> (EMIT * BITS);
    end

`ifndef SYNTHESIS
    always @(posedge clk_i) begin
      if (rst_ni && valid_i && left_q > CountBits'(1)) $fatal(1, "%m: results meet");
    end
`endif
  end

endmodule
