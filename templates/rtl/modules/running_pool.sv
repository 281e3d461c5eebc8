// SPDX-License-Identifier: MIT-0
// PE lanes that keep the running sum (AVERAGE = 1) or maximum (AVERAGE = 0) of every channel while pixels come.
//
// Input:  pixels of FOLD words, in order; PIXELS of them in a row make one result of every word. Nothing is kept but the
//         results so far. One word a cycle.
// Output: PE results for every word of the last pixel, two cycles after it is taken; three with BLOCK memory. The last
//         pixel's words wait for go_i.
//
// Results so far come round in the order of the words. Few are registers in a ring. More lie in a memory: read in the
// cycle in which a word is taken, written as the result appears. So FOLD > 2 words, or with BLOCK and its output
// register more than 3, never meet their own result on its way.
module running_pool
  import codesign_pkg::*;
#(
  parameter int PE = 1,
  parameter int FOLD = 1,
  parameter int PIXELS = 1,
  parameter bit AVERAGE = 0,
  parameter int X_BITS = 8,
  parameter bit X_SIGNED = 0,
  parameter int ACC_BITS = 8,
  parameter bit BLOCK = 0,
  parameter bit KEEP = 0  // keep sums apart from the DSP behind them, see kept_register.sv
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,
  input  logic [PE-1:0][X_BITS-1:0]   data_i,
  input  logic                        valid_i,
  output logic                        ready_o,
  input  logic                        go_i,     // a word of the last pixel may be taken
  output logic                        take_o,   // and it is taken in this cycle
  output logic                        valid_o,
  output logic [PE-1:0][ACC_BITS-1:0] acc_o
);

  localparam int FewWords = 2;      // codesign/machine/modules.py says the same
  localparam int ShallowWords = 16;
  localparam bit InBlock = BLOCK && FOLD > ShallowWords && PIXELS > 1;
  localparam int Bits = AVERAGE ? ACC_BITS : X_BITS;
  localparam int FoldBits = counter_bits(FOLD);
  // What a result begins with.
  localparam logic [Bits-1:0] Floor = (!AVERAGE && X_SIGNED) ? {1'b1, {(Bits - 1) {1'b0}}} : '0;

  logic accept, first, last;
  assign ready_o = !last || go_i;
  assign accept  = valid_i && ready_o;
  assign take_o  = valid_i && last && go_i;

  // The word of the pixel that is next.
  logic [FoldBits-1:0] place_q;
  logic last_place;
  assign last_place = place_q == FoldBits'(FOLD - 1);
  always_ff @(posedge clk_i) begin
    if (!rst_ni) place_q <= '0;
    else if (accept) place_q <= last_place ? '0 : place_q + 1'b1;
  end

  if (PIXELS == 1) begin : g_one_pixel
    assign first = 1'b1;
    assign last  = 1'b1;
  end else begin : g_pixels
    localparam int PixelBits = counter_bits(PIXELS);
    logic [PixelBits-1:0] pixel_q;
    logic first_q, last_q;
    assign first = first_q;
    assign last  = last_q;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        pixel_q <= '0;
        first_q <= 1'b1;
        last_q  <= 1'b0;
      end else if (accept && last_place) begin
        pixel_q <= last_q ? '0 : pixel_q + 1'b1;
        first_q <= last_q;
        last_q  <= pixel_q == PixelBits'(PIXELS - 2);
      end
    end
  end

  // Words and their results so far, at the adders.
  logic valid_x, last_x;
  logic [PE-1:0][X_BITS-1:0] x;
  logic [PE-1:0][Bits-1:0] so_far, result;

  logic valid_q, last_q;
  logic [PE-1:0][X_BITS-1:0] data_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else valid_q <= accept;
  end
  always_ff @(posedge clk_i) begin
    data_q <= data_i;
    last_q <= last;
  end
  if (InBlock) begin : g_later
    always_ff @(posedge clk_i) begin
      if (!rst_ni) valid_x <= 1'b0;
      else valid_x <= valid_q;
    end
    always_ff @(posedge clk_i) begin
      x      <= data_q;
      last_x <= last_q;
    end
  end else begin : g_now
    assign valid_x = valid_q;
    assign x       = data_q;
    assign last_x  = last_q;
  end

  if (PIXELS == 1) begin : g_alone
    assign so_far = {PE{Floor}};
    logic unused;
    assign unused = &{1'b0, first};
  end else if (FOLD <= FewWords) begin : g_registers
    logic first_q;
    logic [PE-1:0][Bits-1:0] oldest;
    always_ff @(posedge clk_i) first_q <= first;
    if (FOLD == 1) begin : g_one
      assign oldest = result;
    end else begin : g_two
      always_ff @(posedge clk_i) begin
        if (valid_x) oldest <= result;
      end
    end
    assign so_far = first_q ? {PE{Floor}} : oldest;
  end else begin : g_memory
    logic written;
    logic [FoldBits-1:0] written_q;
    logic [PE-1:0][Bits-1:0] word;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) written <= 1'b0;
      else written <= valid_x;
    end
    always_ff @(posedge clk_i) begin
      if (!rst_ni) written_q <= '0;
      else if (written) written_q <= (written_q == FoldBits'(FOLD - 1)) ? '0 : written_q + 1'b1;
    end
    simple_ram #(
      .WORD_BITS(PE * Bits), .DEPTH(FOLD), .BLOCK(InBlock), .FILL({PE{Floor}})
    ) u_results (
      .clk_i,
      .write_i(written),
      .write_address_i(written_q),
      .data_i(result),
      .read_i(1'b1),
      .fill_i(first),
      .read_address_i(place_q),
      .data_o(word)
    );
    if (InBlock) begin : g_output_register
      always_ff @(posedge clk_i) so_far <= word;
    end else begin : g_direct
      assign so_far = word;
    end
  end

  // Registers hold their results while no word comes; a memory has them already.
  localparam bit Holds = PIXELS > 1 && FOLD <= FewWords;
  for (genvar p = 0; p < PE; p++) begin : g_pe
    logic [Bits-1:0] next;
    if (AVERAGE) begin : g_sum
      if (X_SIGNED) begin : g_signed
        assign next = Bits'($signed(x[p])) + so_far[p];
      end else begin : g_unsigned
        assign next = Bits'(x[p]) + so_far[p];
      end
    end else begin : g_max
      logic larger;
      if (X_SIGNED) begin : g_signed
        assign larger = $signed(x[p]) > $signed(so_far[p]);
      end else begin : g_unsigned
        assign larger = x[p] > so_far[p];
      end
      assign next = larger ? x[p] : so_far[p];
    end
    kept_register #(
      .BITS(Bits), .KEEP(KEEP)
    ) u_result (
      .clk_i,
      .enable_i(!Holds || valid_x),
      .data_i(next),
      .data_o(result[p])
    );
    if (AVERAGE || X_SIGNED) begin : g_as_it_is
      assign acc_o[p] = ACC_BITS'($signed(result[p]));
    end else begin : g_positive
      assign acc_o[p] = ACC_BITS'(result[p]);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_o <= 1'b0;
    else valid_o <= valid_x && last_x;
  end

`ifndef SYNTHESIS
  buffer_monitor u_monitor (
    .clk_i, .rst_ni,
    .used_i(int'(valid_q)),
    .write_i(1'b0),
    .step_i(accept),
    .image_i(1'b1)
  );
`endif

endmodule
