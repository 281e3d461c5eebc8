// SPDX-License-Identifier: MIT-0
// One registered product of an activation and a signed weight, in a DSP or in LUTs.
//
// In LUTs the weight is taken two bits at a time, each digit -2 to 2 (Booth): a row of one adder per digit, and in each
// row one LUT a bit selects 0, x or 2x, complements it and adds it.
module multiply #(
  parameter int X_BITS = 8,
  parameter bit X_SIGNED = 0,
  parameter int W_BITS = 8,
  parameter bit USE_DSP = 1
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
  // A narrower product would take about as many LUTs around a DSP as without one.
  localparam int DspProductBits = 9;

  logic signed [XBits-1:0] x;
  if (X_SIGNED) begin : g_signed
    assign x = $signed(x_i);
  end else begin : g_unsigned
    assign x = $signed({1'b0, x_i});
  end

  if (USE_DSP && ProductBits >= DspProductBits) begin : g_dsp
    (* use_dsp = "yes" *)
    logic signed [ProductBits-1:0] product_q;
    always_ff @(posedge clk_i) begin
      if (enable_i) product_q <= x * $signed(w_i);
    end
    assign product_o = product_q;
  end else begin : g_lut
    localparam int Digits = (W_BITS + 1) / 2;
    typedef logic signed [XBits+1:0] row_t;
    logic [2*Digits:0] w;  // every digit is three bits: its own two, and the one below
    logic signed [2*Digits+XBits-1:0] product;
    assign w = {(2 * Digits)'($signed(w_i)), 1'b0};

    for (genvar d = 0; d < Digits; d++) begin : g_digit
      logic [2:0] digit;
      row_t term, row;
      assign digit = w[2*d+:3];
      always_comb begin
        case (digit)
          3'b000:         term = '0;
          3'b001, 3'b010: term = row_t'(x);
          3'b011:         term = row_t'(x) <<< 1;
          3'b100:         term = ~(row_t'(x) <<< 1);
          3'b101, 3'b110: term = ~row_t'(x);
          default:        term = '1;
        endcase
      end
      // A complement and one is the negative; that one comes in through the carry of a bit below the lowest.
      if (d == 0) begin : g_first
        assign row = term + row_t'({1'b0, digit[2]});
      end else begin : g_next
        row_t rest;
        logic unused;
        assign rest          = g_digit[d-1].row >>> 2;
        assign {row, unused} = {rest, 1'b1} + {term, digit[2]};
      end
      if (d == Digits - 1) begin : g_last
        assign product[2*Digits+XBits-1:2*d] = row;
      end else begin : g_low
        assign product[2*d+:2] = row[1:0];
      end
    end

    (* use_dsp = "no" *)
    logic signed [ProductBits-1:0] product_q;
    always_ff @(posedge clk_i) begin
      if (enable_i) product_q <= product[ProductBits-1:0];
    end
    assign product_o = product_q;
    logic unused;  // an odd weight leaves a bit above the product
    assign unused = &{1'b0, product[2*Digits+XBits-1]};
  end

endmodule
