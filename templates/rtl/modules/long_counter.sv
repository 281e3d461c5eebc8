// SPDX-License-Identifier: MIT-0
// A counter of many bits in pieces of 24. None waits for the carry of another. A register tells whether a piece is all
// ones, and so whether the piece above it counts too.
module long_counter
  import codesign_pkg::*;
#(
  parameter int BITS = 32
) (
  input  logic            clk_i,
  input  logic            load_i,
  input  logic [BITS-1:0] value_i,
  input  logic            step_i,
  output logic [BITS-1:0] count_o
);

  localparam int PieceBits = 24;
  localparam int Pieces = ceil_div(BITS, PieceBits);
  logic [BITS-1:0] count_q;
  logic [Pieces-1:0] full_q;
  assign count_o = count_q;

  for (genvar k = 0; k < Pieces; k++) begin : g_piece
    localparam int First = PieceBits * k;
    localparam int Bits = min(BITS - First, PieceBits);
    logic [Bits-1:0] value, count;
    logic carry;
    assign value = value_i[First+:Bits];
    assign count = count_q[First+:Bits];
    if (k == 0) begin : g_lowest
      assign carry = step_i;
    end else begin : g_above
      assign carry = step_i && &full_q[k-1:0];
    end
    always_ff @(posedge clk_i) begin
      if (load_i) begin
        count_q[First+:Bits] <= value;
        full_q[k] <= &value;
      end else if (carry) begin
        count_q[First+:Bits] <= count + 1'b1;
        full_q[k] <= count == Bits'(-2);
      end
    end
  end
  logic unused;  // nothing counts above the highest piece
  assign unused = &{1'b0, full_q};

endmodule
