// SPDX-License-Identifier: MIT-0
// A FIFO of DEPTH words (a power of two). A word can leave two cycles after it came.
//
// The memory is read into an output register as soon as that is free. So a block RAM does as well as LUTs. The register
// holds one word more than DEPTH.
module stream_fifo
  import codesign_pkg::*;
#(
  parameter int WORD_BITS = 8,
  parameter int DEPTH = 16,
  parameter bit BLOCK_RAM = 0
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic [WORD_BITS-1:0] data_i,
  input  logic                 valid_i,
  output logic                 ready_o,
  output logic [WORD_BITS-1:0] data_o,
  output logic                 valid_o,
  input  logic                 ready_i
);

  localparam int AddressBits = $clog2(DEPTH);
  typedef logic [AddressBits:0] ptr_t;

  ptr_t write_q, read_q, used;
  logic accept, fetch;
  assign used    = write_q - read_q;
  assign ready_o = used != ptr_t'(DEPTH);
  assign accept  = valid_i && ready_o;
  assign fetch   = used != '0 && (!valid_o || ready_i);

  simple_ram #(
    .WORD_BITS(WORD_BITS), .DEPTH(DEPTH), .BLOCK(BLOCK_RAM)
  ) u_memory (
    .clk_i,
    .write_i(accept),
    .write_address_i(write_q[AddressBits-1:0]),
    .data_i,
    .read_i(fetch),
    .fill_i(1'b0),
    .read_address_i(read_q[AddressBits-1:0]),
    .data_o
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      write_q <= '0;
      read_q  <= '0;
      valid_o <= 1'b0;
    end else begin
      if (accept) write_q <= write_q + 1'b1;
      if (fetch) read_q <= read_q + 1'b1;
      if (fetch) valid_o <= 1'b1;
      else if (ready_i) valid_o <= 1'b0;
    end
  end

`ifndef SYNTHESIS
  buffer_monitor #(
    .DEPTH(DEPTH)
  ) u_monitor (
    .clk_i, .rst_ni,
    .used_i(int'(used)),
    .write_i(accept),
    .step_i(fetch),
    .image_i(1'b1)
  );
`endif

endmodule
