// SPDX-License-Identifier: MIT-0
// Reads BURSTS whole bursts of memory, one behind another, through an AXI read port.
//
// A burst has BURST beats: at most 16, which AXI3 allows too. The address is a multiple of a burst's bytes; what is below
// counts as 0. So no burst crosses 4 KiB. A burst is asked for only if the queue has a place for all of it: HELD bursts
// have one. So rready_o never falls, nothing blocks the port, and there is no deadlock.
// error_o: the memory refused a word since the start.
module axi_read
  import codesign_pkg::*;
#(
  parameter int ADDRESS_BITS = 40,
  parameter int DATA_BITS = 64,
  parameter int BURST = 16,  // a power of two
  parameter int BURSTS = 1,
  parameter int HELD = 4     // a power of two
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    start_i,
  input  logic [ADDRESS_BITS-1:0] address_i,
  output logic [ADDRESS_BITS-1:0] araddr_o,
  output logic                    arvalid_o,
  input  logic                    arready_i,
  input  logic [DATA_BITS-1:0]    rdata_i,
  input  logic [1:0]              rresp_i,
  input  logic                    rvalid_i,
  output logic                    rready_o,
  output logic [DATA_BITS-1:0]    data_o,
  output logic                    valid_o,
  input  logic                    ready_i,
  output logic                    error_o
);

  localparam int Offset = $clog2(BURST * DATA_BITS / 8);
  localparam int LeftBits = counter_bits(BURSTS + 1);
  localparam int CreditBits = $clog2(HELD + 1);

  // Addresses: the upper bits count bursts. The next one is made ahead, as two are never asked for in a row.
  logic [ADDRESS_BITS-Offset-1:0] burst_q, next_q;
  logic [LeftBits-1:0] left_q;
  logic [CreditBits-1:0] credits_q;
  logic ask, spend_q, earn_q, some_left_q, has_credit_q;
  assign ask = some_left_q && has_credit_q && !arvalid_o && !spend_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      arvalid_o   <= 1'b0;
      spend_q     <= 1'b0;
      left_q      <= '0;
      some_left_q <= 1'b0;
    end else begin
      if (ask) arvalid_o <= 1'b1;
      else if (arready_i) arvalid_o <= 1'b0;
      spend_q <= ask;
      if (start_i) left_q <= LeftBits'(BURSTS);
      else if (ask) left_q <= left_q - 1'b1;
      some_left_q <= left_q != '0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (start_i) burst_q <= address_i[ADDRESS_BITS-1:Offset];
    else if (ask) burst_q <= next_q;
    next_q <= burst_q + 1'b1;
    if (ask) araddr_o <= {burst_q, Offset'(0)};
  end

  // A credit is a free place of a burst: it comes back when the last word of a burst has left the queue.
  logic [$clog2(BURST)-1:0] leaving_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      credits_q    <= CreditBits'(HELD);
      has_credit_q <= 1'b0;
      leaving_q    <= '0;
      earn_q       <= 1'b0;
    end else begin
      if (valid_o && ready_i) leaving_q <= leaving_q + 1'b1;
      earn_q <= valid_o && ready_i && (&leaving_q);
      if (spend_q != earn_q) credits_q <= spend_q ? credits_q - 1'b1 : credits_q + 1'b1;
      has_credit_q <= credits_q > CreditBits'(1) || (credits_q == CreditBits'(1) && !spend_q);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || start_i) error_o <= 1'b0;
    else if (rvalid_i && rresp_i[1]) error_o <= 1'b1;
  end

  logic has_place;
  assign rready_o = 1'b1;
  stream_fifo #(
    .WORD_BITS(DATA_BITS), .DEPTH(BURST * HELD)
  ) u_queue (
    .clk_i, .rst_ni,
    .data_i(rdata_i),
    .valid_i(rvalid_i),
    .ready_o(has_place),
    .data_o, .valid_o, .ready_i
  );

  logic unused;
  assign unused = &{1'b0, address_i[Offset-1:0], rresp_i[0], has_place};

endmodule
