// SPDX-License-Identifier: MIT-0
// A counter of many bits in pieces of 16, none of which waits for the carry of another: whether a piece is all ones, and
// so whether the one above it counts too, is a register.
module long_counter #(
  parameter int BITS = 32  // a multiple of 16
) (
  input  logic            clk_i,
  input  logic            load_i,
  input  logic [BITS-1:0] value_i,
  input  logic            step_i,
  output logic [BITS-1:0] count_o
);

  localparam int PieceBits = 16;
  localparam int Pieces = BITS / PieceBits;
  logic [BITS-1:0] count_q;
  logic [Pieces-1:0] full_q;
  assign count_o = count_q;

  for (genvar k = 0; k < Pieces; k++) begin : g_piece
    logic [PieceBits-1:0] value, count;
    logic carry;
    assign value = value_i[PieceBits*k+:PieceBits];
    assign count = count_q[PieceBits*k+:PieceBits];
    if (k == 0) begin : g_lowest
      assign carry = step_i;
    end else begin : g_above
      assign carry = step_i && &full_q[k-1:0];
    end
    always_ff @(posedge clk_i) begin
      if (load_i) begin
        count_q[PieceBits*k+:PieceBits] <= value;
        full_q[k] <= &value;
      end else if (carry) begin
        count_q[PieceBits*k+:PieceBits] <= count + 1'b1;
        full_q[k] <= count == PieceBits'(-2);
      end
    end
  end
  logic unused;  // nothing counts above the highest piece
  assign unused = &{1'b0, full_q};

endmodule
