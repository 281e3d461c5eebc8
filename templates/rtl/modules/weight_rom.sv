// SPDX-License-Identifier: MIT-0
// Weights of one engine: one word of all PE x SIMD weights per step, in the order in which the steps come.
//
// The word for a step appears one cycle after it, beside the feed's word; LATE two cycles. A block RAM is always late: the
// second cycle is its output register. A memory in LUTs is then read a cycle later.
// LOADED: the words come over a load bus while the engine is in reset, see load_stage.sv; without, from FILE.
module weight_rom
  import codesign_pkg::*;
#(
  parameter int WORD_BITS = 8,
  parameter int DEPTH = 1,
  parameter bit BLOCK_ROM = 0,  // in block RAM; needs LATE
  parameter bit LATE = 0,
  parameter bit LOADED = 0,
  parameter FILE = "weights.hex"
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 issue_i,
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
    assign unused = &{1'b0, rst_ni, issue_i, write_address};
  end else if (DEPTH == 1) begin : g_constant
    logic [WORD_BITS-1:0] memory[DEPTH];
    initial $readmemh(FILE, memory);
    assign data_o = memory[0];
    logic unused;
    assign unused = &{1'b0, clk_i, rst_ni, issue_i};
  end else begin : g_memory
    logic [AddressBits-1:0] address_q;
    logic issue, last_q;
    if (LATE && !BLOCK_ROM) begin : g_wait
      always_ff @(posedge clk_i) begin
        if (!rst_ni) issue <= 1'b0;
        else issue <= issue_i;
      end
    end else begin : g_now
      assign issue = issue_i;
    end
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        address_q <= '0;
        last_q    <= 1'b0;
      end else if (issue) begin
        address_q <= last_q ? '0 : address_q + 1'b1;
        last_q    <= address_q == AddressBits'(DEPTH - 2);
      end
    end

    if (BLOCK_ROM && LOADED) begin : g_block_ram
      (* ram_style = "block" *)
      logic [WORD_BITS-1:0] memory[DEPTH];
      logic [WORD_BITS-1:0] word_q;
      always_ff @(posedge clk_i) begin
        if (write) memory[write_address] <= written;
      end
      always_ff @(posedge clk_i) begin
        word_q <= memory[address_q];
        data_o <= word_q;
      end
    end else if (LOADED) begin : g_lut_ram
      (* ram_style = "distributed" *)
      logic [WORD_BITS-1:0] memory[DEPTH];
      always_ff @(posedge clk_i) begin
        if (write) memory[write_address] <= written;
        data_o <= memory[address_q];
      end
    end else if (BLOCK_ROM) begin : g_block
      (* rom_style = "block" *)
      logic [WORD_BITS-1:0] memory[DEPTH];
      logic [WORD_BITS-1:0] word_q;
      initial $readmemh(FILE, memory);
      always_ff @(posedge clk_i) begin
        word_q <= memory[address_q];
        data_o <= word_q;
      end
    end else begin : g_distributed
      logic [WORD_BITS-1:0] word;
      lut_rom #(
        .WORD_BITS(WORD_BITS), .DEPTH(DEPTH), .FILE(FILE)
      ) u_words (
        .address_i(address_q),
        .data_o(word)
      );
      always_ff @(posedge clk_i) data_o <= word;
    end
  end

endmodule
