// SPDX-License-Identifier: MIT-0
// Gathers the words of a load bus, 32 bits each, to words of a memory: the lowest bits come first. See load_stage.sv.
//
// write_o comes with the last part, which is not stored. Bits above WORD_BITS are left out.
module load_port
  import codesign_pkg::*;
#(
  parameter int WORD_BITS = 8,
  parameter int DEPTH = 1
) (
  input  logic                           clk_i,
  input  logic [33:0]                    load_i,
  output logic                           write_o,
  output logic [counter_bits(DEPTH)-1:0] address_o,
  output logic [WORD_BITS-1:0]           word_o
);

  localparam int Parts = ceil_div(WORD_BITS, 32);
  localparam int AddressBits = counter_bits(DEPTH);

  logic start, valid;
  logic [31:0] data;
  assign {start, valid, data} = load_i;

  if (Parts == 1) begin : g_one
    assign write_o = valid;
    assign word_o  = data[WORD_BITS-1:0];
    if (WORD_BITS < 32) begin : g_narrow
      logic unused;
      assign unused = &{1'b0, data[31:WORD_BITS]};
    end
  end else begin : g_parts
    // Which part comes next: one bit of a ring, so nothing is decoded.
    logic [Parts-1:0] part_q;
    logic [32*(Parts-1)-1:0] held_q;
    logic [32*Parts-1:0] whole;
    assign whole   = {data, held_q};
    assign word_o  = whole[WORD_BITS-1:0];
    assign write_o = valid && part_q[Parts-1];
    always_ff @(posedge clk_i) begin
      if (start) part_q <= Parts'(1);
      else if (valid) part_q <= {part_q[Parts-2:0], part_q[Parts-1]};
      if (valid) held_q <= whole[32*Parts-1:32];
    end
    if (WORD_BITS < 32 * Parts) begin : g_narrow
      logic unused;
      assign unused = &{1'b0, whole[32*Parts-1:WORD_BITS]};
    end
  end

  logic [AddressBits-1:0] address_q;
  assign address_o = address_q;
  always_ff @(posedge clk_i) begin
    if (start) address_q <= '0;
    else if (write_o) address_q <= address_q + 1'b1;
  end

endmodule
