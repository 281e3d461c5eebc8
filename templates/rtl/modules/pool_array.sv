// SPDX-License-Identifier: MIT-0
// PE lanes that keep the maximum (AVERAGE = 0) or the sum (AVERAGE = 1) of a window, channel by channel.
//
// The result of a window appears on acc_o with valid_o two cycles after the step of its last word. Padding comes as zero;
// it is never the maximum. A maximum is sign- or zero-extended to ACC_BITS. With COUNTS > 1, count_o tells beside each
// result how many words of its window were no padding.
module pool_array
  import codesign_pkg::*;
#(
  parameter int PE = 1,
  parameter bit AVERAGE = 0,
  parameter int X_BITS = 8,
  parameter bit X_SIGNED = 0,
  parameter int ACC_BITS = 8,
  parameter int COUNTS = 1,
  parameter bit KEEP = 0  // keep sums apart from the DSP behind them, see kept_register.sv
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,
  input  logic                        valid_i,
  input  logic                        first_i,
  input  logic                        last_i,
  input  logic                        pad_i,
  input  logic [PE-1:0][X_BITS-1:0]   x_i,
  output logic                        valid_o,
  output logic [PE-1:0][ACC_BITS-1:0] acc_o,
  output logic [counter_bits(COUNTS)-1:0] count_o
);

  if (COUNTS > 1) begin : g_count
    localparam int CountBits = counter_bits(COUNTS);
    logic [CountBits-1:0] so_far;
    assign so_far = first_i ? '0 : count_o;
    always_ff @(posedge clk_i) begin
      if (valid_i) count_o <= so_far + CountBits'(!pad_i);
    end
  end else begin : g_no_count
    assign count_o = '0;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_o <= 1'b0;
    else valid_o <= valid_i && last_i;
  end

  for (genvar p = 0; p < PE; p++) begin : g_pe
    logic signed [ACC_BITS-1:0] x, acc, acc_d;
    logic take;
    if (X_SIGNED) begin : g_signed
      assign x = ACC_BITS'($signed(x_i[p]));
    end else begin : g_unsigned
      assign x = ACC_BITS'($signed({1'b0, x_i[p]}));
    end
    if (AVERAGE) begin : g_sum
      logic signed [ACC_BITS-1:0] so_far;
      assign so_far = first_i ? '0 : acc;
      assign acc_d  = x + so_far;
      assign take   = 1'b1;
    end else begin : g_max
      assign acc_d = (X_SIGNED && pad_i) ? {1'b1, {(ACC_BITS - 1) {1'b0}}} : x;
      assign take  = first_i || acc_d > acc;
    end
    assign acc = $signed(acc_o[p]);
    kept_register #(
      .BITS(ACC_BITS), .KEEP(KEEP)
    ) u_acc (
      .clk_i,
      .enable_i(valid_i && take),
      .data_i(acc_d),
      .data_o(acc_o[p])
    );
  end

  logic unused;
  assign unused = &{1'b0, pad_i};

endmodule
