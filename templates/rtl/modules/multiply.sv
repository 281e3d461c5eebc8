// One registered product of an activation and a signed weight, in a DSP or in LUTs.
//
// In LUTs the product is written as shifted additions, so that no tool maps it to a DSP behind our back.
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

  logic signed [XBits-1:0] x;
  if (X_SIGNED) begin : g_signed
    assign x = signed'(x_i);
  end else begin : g_unsigned
    assign x = signed'({1'b0, x_i});
  end

  if (USE_DSP) begin : g_dsp
    (* use_dsp = "yes" *)
    logic signed [ProductBits-1:0] product_q;
    always_ff @(posedge clk_i) begin
      if (enable_i) product_q <= x * signed'(w_i);
    end
    assign product_o = product_q;
  end else begin : g_lut
    (* use_dsp = "no" *)
    logic signed [ProductBits-1:0] product_q;
    logic signed [ProductBits-1:0] sum;
    always_comb begin
      sum = '0;
      for (int j = 0; j < W_BITS - 1; j++) begin
        if (w_i[j]) sum = sum + (ProductBits'(x) <<< j);
      end
      if (w_i[W_BITS-1]) sum = sum - (ProductBits'(x) <<< (W_BITS - 1));
    end
    always_ff @(posedge clk_i) begin
      if (enable_i) product_q <= sum;
    end
    assign product_o = product_q;
  end

endmodule
