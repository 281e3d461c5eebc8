// SPDX-License-Identifier: MIT-0
// Loads the memories of all engines from an image in DRAM, and keeps the engines in reset until it is complete.
//
// The image, in words of 32 bits, little endian:
//   2       the design hash, low word first
//   WORDS   what the memories hold, in the order of the stages of the load bus
//   1       CRC-32 of all before, as zlib has it
//   ...     zeros up to a whole burst
// The last word passes all stages and comes back at the end of the bus: so it proves that every stage was filled.
// loaded_o: an image is complete, of this design, and without an error. refused_o: it was not.
module weight_loader
  import codesign_pkg::*;
#(
  parameter logic [63:0] DESIGN_HASH = '0,
  parameter int WORDS = 1,
  parameter int ADDRESS_BITS = 40
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    start_i,
  input  logic [ADDRESS_BITS-1:0] address_i,
  output logic                    loading_o,
  output logic                    loaded_o,
  output logic                    refused_o,
  output logic [31:0]             crc_o,
  output logic                    core_rst_no,  // reset of the engines
  output logic [33:0]             load_o,       // to the first stage
  input  logic [33:0]             end_i,        // from the last one
  output logic [ADDRESS_BITS-1:0] araddr_o,
  output logic                    arvalid_o,
  input  logic                    arready_i,
  input  logic [63:0]             rdata_i,
  input  logic [1:0]              rresp_i,
  input  logic                    rvalid_i,
  output logic                    rready_o
);

  localparam int Burst = 16;
  localparam int Bursts = ceil_div(WORDS + 3, 2 * Burst);
  localparam int LeftBits = counter_bits(WORDS + 1);
  localparam int DrainBits = counter_bits(2 * Burst * Bursts);

  logic [63:0] beat;
  logic beat_valid, beat_ready, error;
  axi_read #(
    .ADDRESS_BITS(ADDRESS_BITS), .DATA_BITS(64), .BURST(Burst), .BURSTS(Bursts)
  ) u_read (
    .clk_i, .rst_ni, .start_i, .address_i,
    .araddr_o, .arvalid_o, .arready_i,
    .rdata_i, .rresp_i, .rvalid_i, .rready_o,
    .data_o(beat),
    .valid_o(beat_valid),
    .ready_i(beat_ready),
    .error_o(error)
  );

  // Beats become words, the low one first.
  logic high_q, word_valid_q;
  logic [31:0] word_q;
  assign beat_ready = high_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || start_i) high_q <= 1'b0;
    else if (beat_valid) high_q <= !high_q;
    if (!rst_ni) word_valid_q <= 1'b0;
    else word_valid_q <= beat_valid;
    word_q <= high_q ? beat[63:32] : beat[31:0];
  end

  // Where the image is: the first words, what the memories hold, the check, zeros.
  typedef enum logic [2:0] {Low, High, Body, Check, Rest} place_t;
  place_t place_q;
  logic [LeftBits-1:0] left_q;
  logic [DrainBits-1:0] drain_q;
  logic last_q, drained_q, alien_q, start_q, send_q;
  logic [31:0] sent_q, crc_q, crc_next;
  always_ff @(posedge clk_i) begin
    start_q <= start_i && rst_ni;
    send_q  <= rst_ni && word_valid_q && (place_q == Body || place_q == Check);
    sent_q  <= word_q;
    if (start_i) begin
      place_q   <= Low;
      left_q    <= LeftBits'(WORDS - 1);
      last_q    <= WORDS == 1;
      drain_q   <= DrainBits'(2 * Burst * Bursts - 1);
      drained_q <= 1'b0;
      alien_q   <= 1'b0;
      crc_q     <= '1;
    end else if (word_valid_q) begin
      case (place_q)
        Low:     place_q <= High;
        High:    place_q <= Body;
        Body:    if (last_q) place_q <= Check;
        Check:   place_q <= Rest;
        default: place_q <= Rest;
      endcase
      if (place_q == Body) left_q <= left_q - 1'b1;
      if (place_q == Body) last_q <= left_q == LeftBits'(1);
      if (place_q == Low && word_q != DESIGN_HASH[31:0]) alien_q <= 1'b1;
      if (place_q == High && word_q != DESIGN_HASH[63:32]) alien_q <= 1'b1;
      if (place_q == Low || place_q == High || place_q == Body) crc_q <= crc_next;
      drain_q   <= drain_q - 1'b1;
      drained_q <= drain_q == '0;
    end
  end
  assign load_o = {start_q, send_q, sent_q};
  assign crc_o  = ~crc_q;

  // 32 steps of the CRC at once: every bit is an exclusive or of some bits of the word and of the CRC so far.
  function automatic logic [1023:0] crc_matrix();
    logic [1023:0] matrix = '0;
    for (int from = 0; from < 32; from++) begin
      logic [31:0] crc = 32'd1 << from;
      for (int step = 0; step < 32; step++) crc = crc[0] ? (crc >> 1) ^ 32'hedb88320 : crc >> 1;
      for (int to = 0; to < 32; to++) matrix[32*to+from] = crc[to];
    end
    return matrix;
  endfunction
  localparam logic [1023:0] Matrix = crc_matrix();
  for (genvar i = 0; i < 32; i++) begin : g_crc
    assign crc_next[i] = ^(Matrix[32*i+:32] & (crc_q ^ word_q));
  end

  // The end: the check is back, and no word is left on its way.
  logic came_q, back_q, good_q, finish;
  logic [31:0] differs_q;
  assign finish = loading_o && back_q && drained_q;
  always_ff @(posedge clk_i) begin
    if (start_i) begin
      came_q <= 1'b0;
      back_q <= 1'b0;
    end else begin
      if (end_i[32]) came_q <= 1'b1;
      back_q <= came_q;
    end
    if (end_i[32]) differs_q <= end_i[31:0] ^ crc_o;
    good_q <= differs_q == '0;
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      loading_o <= 1'b0;
      loaded_o  <= 1'b0;
      refused_o <= 1'b0;
    end else if (start_i) begin
      loading_o <= 1'b1;
      loaded_o  <= 1'b0;
      refused_o <= 1'b0;
    end else if (finish) begin
      loading_o <= 1'b0;
      loaded_o  <= good_q && !alien_q && !error;
      refused_o <= !good_q || alien_q || error;
    end
    core_rst_no <= rst_ni && loaded_o && !start_i;
  end

  logic unused;
  assign unused = &{1'b0, end_i[33]};

`ifndef SYNTHESIS
  int cycles;
  always_ff @(posedge clk_i) cycles <= start_i ? 1 : cycles + 1;
  always @(posedge clk_i) if (finish) $display("load cycles %0d", cycles + 2);
`endif

endmodule
