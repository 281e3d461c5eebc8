// SPDX-License-Identifier: MIT-0
// One registered product of an activation and a signed weight, in a DSP or in LUTs.
//
// In LUTs the weight is taken two bits at a time, in digits of -2 to 2 (Booth). There is a row of one adder per digit.
// In each row one LUT a bit selects 0, x or 2x, complements it and adds it. With CUT there is a register behind every
// two rows, so that a product takes multiply_stages cycles; else it takes one.
module multiply
  import codesign_pkg::*;
#(
  parameter int X_BITS = 8,
  parameter bit X_SIGNED = 0,
  parameter int W_BITS = 8,
  parameter bit USE_DSP = 1,
  parameter bit CUT = 0
) (
  input  logic                                       clk_i,
  input  logic                                       enable_i,
  input  logic [X_BITS-1:0]                          x_i,
  input  logic [W_BITS-1:0]                          w_i,
  output logic signed [X_BITS+W_BITS-int'(X_SIGNED):0] product_o
);

  // An unsigned activation becomes signed by a leading zero.
  localparam int XBits = X_BITS + 1 - int'(X_SIGNED);
  localparam int ProductBits = XBits + W_BITS;
  logic signed [XBits-1:0] x;
  if (X_SIGNED) begin : g_signed
    assign x = $signed(x_i);
  end else begin : g_unsigned
    assign x = $signed({1'b0, x_i});
  end

  if (in_dsp(USE_DSP, ProductBits)) begin : g_dsp
    (* use_dsp = "yes" *)
    logic signed [ProductBits-1:0] product_q;
    always_ff @(posedge clk_i) begin
      if (enable_i) product_q <= x * $signed(w_i);
    end
    assign product_o = product_q;
  end else begin : g_lut
    localparam int Digits = (W_BITS + 1) / 2;
    localparam int PerStage = CUT ? 2 : Digits;
    typedef logic signed [XBits+1:0] row_t;
    logic [2*Digits:0] w;  // every digit is three bits: its own two, and the one below
    logic signed [2*Digits+XBits-1:0] product;
    assign w = {(2 * Digits)'($signed(w_i)), 1'b0};

    for (genvar d = 0; d < Digits; d++) begin : g_digit
      // What this digit's row takes in: wires, or registers where a stage begins.
      logic signed [XBits-1:0] operand;
      logic [2*Digits:0] weight;
      logic [2*Digits-1:0] low, below;  // bits of the product below this row, and below the next one
      row_t term, row, rest;
      logic [2:0] digit;
      logic [1:0] settled;  // apart, since yosys-slang extends the sign of a part of a signed row in a cast
      if (d == 0) begin : g_enter
        assign operand = x;
        assign weight  = w;
        assign low     = '0;
        assign rest    = '0;
      end else if (d % PerStage == 0) begin : g_stage
        always_ff @(posedge clk_i) begin
          if (enable_i) begin
            operand <= g_digit[d-1].operand;
            weight  <= g_digit[d-1].weight;
            low     <= g_digit[d-1].below;
            rest    <= g_digit[d-1].row >>> 2;
          end
        end
      end else begin : g_wires
        assign operand = g_digit[d-1].operand;
        assign weight  = g_digit[d-1].weight;
        assign low     = g_digit[d-1].below;
        assign rest    = g_digit[d-1].row >>> 2;
      end
      assign digit = weight[2*d+:3];
      always_comb begin
        case (digit)
          3'b000:         term = '0;
          3'b001, 3'b010: term = row_t'(operand);
          3'b011:         term = row_t'(operand) <<< 1;
          3'b100:         term = ~(row_t'(operand) <<< 1);
          3'b101, 3'b110: term = ~row_t'(operand);
          default:        term = '1;
        endcase
      end
      // A complement and one is the negative; that one comes in through the carry of a bit below the lowest.
      if (d == 0) begin : g_first
        assign row = term + row_t'({1'b0, digit[2]});
        logic unused;
        assign unused = &{1'b0, rest};
      end else begin : g_next
        logic unused;
        assign {row, unused} = {rest, 1'b1} + {term, digit[2]};
      end
      assign settled = row[1:0];
      assign below = low | ((2 * Digits)'(settled) << (2 * d));
    end
    if (Digits > 1) begin : g_low
      assign product[2*Digits-3:0] = g_digit[Digits-1].low[2*Digits-3:0];
    end
    assign product[2*Digits+XBits-1:2*Digits-2] = g_digit[Digits-1].row;

    (* use_dsp = "no" *)
    logic signed [ProductBits-1:0] product_q;
    always_ff @(posedge clk_i) begin
      if (enable_i) product_q <= product[ProductBits-1:0];
    end
    assign product_o = product_q;
    logic unused;  // an odd weight leaves a bit above the product
    assign unused = &{1'b0, product[2*Digits+XBits-1], g_digit[Digits-1].below, g_digit[Digits-1].weight};
  end

endmodule
