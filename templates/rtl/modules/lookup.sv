// SPDX-License-Identifier: MIT-0
// Replaces every value by its entry of a table: PE lanes, each with its own memory, a word a cycle.
//
// A register lies in front of the memories and one behind them, in block RAM a second one. Nothing waits behind the first:
// see output_queue.sv.
// An address is the value's bits. Where the FOLD words of a pixel have separate tables, the number of the word stands
// above these bits. All lanes read the file FILE0000.hex; with PER_LANE, lane 12 reads FILE0012.hex.
module lookup
  import codesign_pkg::*;
#(
  parameter int PE = 1,
  parameter int FOLD = 1,
  parameter int IN_BITS = 8,
  parameter int OUT_BITS = 8,
  parameter bit PER_LANE = 0,
  parameter bit BLOCK_ROM = 0,
  parameter FILE = "table_"
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,
  input  logic [PE-1:0][IN_BITS-1:0]  data_i,
  input  logic                        valid_i,
  output logic                        ready_o,
  output logic [PE-1:0][OUT_BITS-1:0] data_o,
  output logic                        valid_o,
  input  logic                        ready_i
);

  localparam int Words = FOLD << IN_BITS;
  localparam int AddressBits = $clog2(Words);

  localparam int Delay = BLOCK_ROM ? 3 : 2;

  logic accept, go;
  assign ready_o = go;
  assign accept  = valid_i && go;
  logic [Delay-1:0] valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[Delay-2:0], accept};
  end

  logic [PE-1:0][AddressBits-1:0] address, address_q;
  always_ff @(posedge clk_i) address_q <= address;
  if (FOLD == 1) begin : g_alike
    assign address = data_i;
  end else begin : g_words
    localparam int WordBits = counter_bits(FOLD);
    logic [WordBits-1:0] word_q;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) word_q <= '0;
      else if (accept) word_q <= word_q == WordBits'(FOLD - 1) ? '0 : word_q + 1'b1;
    end
    for (genvar p = 0; p < PE; p++) begin : g_lane
      assign address[p] = {word_q, data_i[p]};
    end
  end

  logic [PE-1:0][OUT_BITS-1:0] found;
  for (genvar p = 0; p < PE; p++) begin : g_table
    localparam int Lane = PER_LANE ? p : 0;
    localparam logic [31:0] Digits = {
      8'(48 + Lane / 1000), 8'(48 + Lane / 100 % 10), 8'(48 + Lane / 10 % 10), 8'(48 + Lane % 10)
    };
    localparam File = {FILE, Digits, ".hex"};
    if (BLOCK_ROM) begin : g_block
      (* rom_style = "block" *)
      logic [OUT_BITS-1:0] memory[Words];
      initial $readmemh(File, memory);
      logic [OUT_BITS-1:0] word_q;
      always_ff @(posedge clk_i) begin
        word_q   <= memory[address_q[p]];
        found[p] <= word_q;
      end
    end else begin : g_distributed
      logic [OUT_BITS-1:0] word;
      lut_rom #(
        .WORD_BITS(OUT_BITS), .DEPTH(Words), .FILE(File)
      ) u_words (
        .address_i(address_q[p]),
        .data_o(word)
      );
      always_ff @(posedge clk_i) found[p] <= word;
    end
  end

  output_queue #(
    .WORD_BITS(PE * OUT_BITS), .DEPTH(output_depth(Delay))
  ) u_queue (
    .clk_i, .rst_ni,
    .take_i(accept),
    .go_o(go),
    .data_i(found),
    .valid_i(valid_q[Delay-1]),
    .data_o, .valid_o, .ready_i
  );

`ifndef SYNTHESIS
  step_monitor u_monitor (
    .clk_i, .rst_ni,
    .step_i(accept)
  );
`endif

endmodule
