// SPDX-License-Identifier: MIT-0
// Per-channel constants of requantize, read beside the collector's words: one word for each word of a pixel.
//
// The word lies in a register, and its address is one ahead. The first is read in the first cycle after reset.
// LOADED: as in weight_rom.sv.
module channel_rom
  import codesign_pkg::*;
#(
  parameter int WORD_BITS = 8,
  parameter int DEPTH = 1,
  parameter bit LOADED = 0,
  parameter FILE = "channels.hex"
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 next_i,
  input  logic [33:0]          load_i,
  output logic [WORD_BITS-1:0] data_o
);

  localparam int AddressBits = counter_bits(DEPTH);
  logic write;
  logic [AddressBits-1:0] write_address;
  logic [WORD_BITS-1:0] written;
  if (LOADED) begin : g_port
    load_port #(
      .WORD_BITS(WORD_BITS), .DEPTH(DEPTH)
    ) u_port (
      .clk_i, .load_i,
      .write_o(write),
      .address_o(write_address),
      .word_o(written)
    );
  end else begin : g_no_port
    assign {write, write_address, written} = '0;
    logic unused;
    assign unused = &{1'b0, load_i, write, write_address, written};
  end

  if (DEPTH == 1 && LOADED) begin : g_register
    always_ff @(posedge clk_i) begin
      if (write) data_o <= written;
    end
    logic unused;
    assign unused = &{1'b0, rst_ni, next_i, write_address};
  end else if (DEPTH == 1) begin : g_constant
    logic [WORD_BITS-1:0] memory[DEPTH];
    initial $readmemh(FILE, memory);
    assign data_o = memory[0];
    logic unused;
    assign unused = &{1'b0, clk_i, rst_ni, next_i};
  end else begin : g_counter
    logic [AddressBits-1:0] address_q;
    logic [WORD_BITS-1:0] word;
    logic begun_q, step;
    assign step = next_i || !begun_q;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        begun_q   <= 1'b0;
        address_q <= '0;
      end else begin
        begun_q <= 1'b1;
        if (step) address_q <= (address_q == AddressBits'(DEPTH - 1)) ? '0 : address_q + 1'b1;
      end
    end
    if (LOADED) begin : g_lut_ram
      (* ram_style = "distributed" *)
      logic [WORD_BITS-1:0] memory[DEPTH];
      always_ff @(posedge clk_i) begin
        if (write) memory[write_address] <= written;
      end
      assign word = memory[address_q];
    end else begin : g_lut_rom
      lut_rom #(
        .WORD_BITS(WORD_BITS), .DEPTH(DEPTH), .FILE(FILE)
      ) u_words (
        .address_i(address_q),
        .data_o(word)
      );
    end
    always_ff @(posedge clk_i) begin
      if (step) data_o <= word;
    end
  end

endmodule
