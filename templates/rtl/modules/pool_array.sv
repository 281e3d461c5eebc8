// PE lanes that keep the maximum (AVERAGE = 0) or the sum (AVERAGE = 1) of a window, channel by channel.
//
// The result of a window appears on acc_o with valid_o two cycles after the step of its last word. Padding is never the
// maximum and adds zero. A maximum is sign- or zero-extended to ACC_BITS.
module pool_array #(
  parameter int PE = 1,
  parameter bit AVERAGE = 0,
  parameter int X_BITS = 8,
  parameter bit X_SIGNED = 0,
  parameter int ACC_BITS = 8
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,
  input  logic                        enable_i,
  input  logic                        valid_i,
  input  logic                        first_i,
  input  logic                        last_i,
  input  logic                        pad_i,
  input  logic [PE-1:0][X_BITS-1:0]   x_i,
  output logic                        valid_o,
  output logic [PE-1:0][ACC_BITS-1:0] acc_o
);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_o <= 1'b0;
    else if (enable_i) valid_o <= valid_i && last_i;
  end

  for (genvar p = 0; p < PE; p++) begin : g_pe
    logic signed [ACC_BITS-1:0] x, acc_q, acc_d;
    if (X_SIGNED) begin : g_signed
      assign x = ACC_BITS'(signed'(x_i[p]));
    end else begin : g_unsigned
      assign x = ACC_BITS'(signed'({1'b0, x_i[p]}));
    end
    if (AVERAGE) begin : g_sum
      logic signed [ACC_BITS-1:0] term, so_far;
      assign term   = pad_i ? '0 : x;
      assign so_far = first_i ? '0 : acc_q;
      assign acc_d  = term + so_far;
    end else begin : g_max
      logic signed [ACC_BITS-1:0] floor, term;
      assign floor = X_SIGNED ? {1'b1, {(ACC_BITS - 1) {1'b0}}} : '0;
      assign term  = pad_i ? floor : x;
      assign acc_d = (first_i || term > acc_q) ? term : acc_q;
    end
    always_ff @(posedge clk_i) begin
      if (enable_i && valid_i) acc_q <= acc_d;
    end
    assign acc_o[p] = acc_q;
  end

endmodule
