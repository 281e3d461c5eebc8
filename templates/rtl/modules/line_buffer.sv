// SPDX-License-Identifier: MIT-0
// Line buffer of one engine: takes the input map word by word and replays it window by window.
//
// Input:  IY x IX pixels of FOLD words, image after image.
// Output: one word per step, for oy, ox, group, pass, fy, fx, inner word. Every pass walks the FOLD / GROUPS words of
//         its group at each window position. Channels that all mix are one group, channels that do not are FOLD groups
//         of a word and a pass. `first_o` and `last_o` mark the first and last step of a pass: one result. The last waits for go_i.
//
// A circular memory of DEPTH words (a power of two). All pointers count words from reset, modulo 2**PtrBits:
//   write_q  next word to be written
//   read_q   word of the present step; inside the padding a virtual address that is never read
//   start_q  first word of the present window; also virtual where the window begins in the padding
//   limit_q  DEPTH past the oldest word that is still needed: writing stops there
// Invariant: a step that is not padding reads only words in [limit_q - DEPTH, write_q).
// A word that arrives in one cycle can be read in the next; a step costs one cycle.
module line_buffer
  import codesign_pkg::*;
#(
  parameter int WORD_BITS = 8,
  parameter int FOLD = 1,
  parameter int IY = 4,
  parameter int IX = 4,
  parameter int OY = 4,
  parameter int OX = 4,
  parameter int FY = 3,
  parameter int FX = 3,
  parameter int STRIDE_Y = 1,
  parameter int STRIDE_X = 1,
  parameter int PAD_TOP = 1,
  parameter int PAD_LEFT = 1,
  parameter int DILATION_Y = 1,
  parameter int DILATION_X = 1,
  parameter int GROUPS = 1,
  parameter int PASSES = 1,
  parameter int DEPTH = 16,
  parameter bit BLOCK_RAM = 0,
  parameter logic [WORD_BITS-1:0] FILL = '0
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic [WORD_BITS-1:0] data_i,
  input  logic                 valid_i,
  output logic                 ready_o,
  input  logic                 go_i,     // the last step of a result may be taken
  output logic                 issue_o,  // a step is taken in this cycle; its word follows one cycle later
  output logic                 take_o,   // and it is the last of a result
  output logic [WORD_BITS-1:0] data_o,
  output logic                 valid_o,
  output logic                 first_o,
  output logic                 last_o,
  output logic                 pad_o     // the word lies in the padding: data_o is FILL
);

  localparam int Inner = FOLD / GROUPS;
  localparam int AddressBits = $clog2(DEPTH);

  // Rows and columns from the first position of a window to the last, and distances in words between consecutive steps.
  localparam int SpanY = (FY - 1) * DILATION_Y + 1;
  localparam int SpanX = (FX - 1) * DILATION_X + 1;
  localparam int ToNextColumn = DILATION_X * FOLD - (Inner - 1);
  localparam int ToNextRow = (DILATION_Y * IX - SpanX + 1) * FOLD - (Inner - 1);
  localparam int WindowSpan = ((SpanY - 1) * IX + SpanX - 1) * FOLD + Inner - 1;
  localparam int ToNextGroup = Inner - WindowSpan;
  // Distances between the starts of consecutive windows: along a row, to the next row, to the next image.
  localparam int StartColumn = STRIDE_X * FOLD;
  localparam int StartRow = (STRIDE_Y * IX - (OX - 1) * STRIDE_X) * FOLD;
  localparam int StartImage = ((IY - (OY - 1) * STRIDE_Y) * IX - (OX - 1) * STRIDE_X) * FOLD;
  // In the last pass of a window the read pointer stands this far behind its start.
  localparam int LastOffset = WindowSpan + FOLD - Inner;
  localparam int Origin = -(PAD_TOP * IX + PAD_LEFT) * FOLD;
  // A word that is read lies less than this before write_q (it was not yet needed) or at most DEPTH behind; limit_q is at
  // most DEPTH and this ahead of write_q. So pointers of PtrBits tell which comes first.
  localparam int Reach = max(StartImage, StartRow) + WindowSpan + StartColumn + 1;
  localparam int PtrBits = $clog2(DEPTH + Reach) + 1;
  typedef logic signed [PtrBits-1:0] ptr_t;

  // Row and column of the window's start, negative inside the padding.
  localparam int LastRow = (OY - 1) * STRIDE_Y - PAD_TOP;
  localparam int LastColumn = (OX - 1) * STRIDE_X - PAD_LEFT;
  localparam int RowBits = $clog2(max(IY, SpanY) + max(SpanY, STRIDE_Y) + 1) + 1;
  localparam int ColumnBits = $clog2(max(IX, SpanX) + max(SpanX, STRIDE_X) + 1) + 1;
  typedef logic signed [RowBits-1:0] row_t;
  typedef logic signed [ColumnBits-1:0] column_t;

  logic [counter_bits(Inner)-1:0]  inner_q;
  logic [counter_bits(FX)-1:0]     fx_q;
  logic [counter_bits(FY)-1:0]     fy_q;
  logic [counter_bits(PASSES)-1:0] pass_q;
  logic [counter_bits(GROUPS)-1:0] group_q;
  row_t    row_q;
  column_t column_q;
  ptr_t    write_q, read_q, start_q, limit_q;

  logic last_inner, last_fx, last_fy, last_pass, last_group, last_column, last_row;
  assign last_inner  = inner_q == (counter_bits(Inner))'(Inner - 1);
  assign last_fx     = last_inner && fx_q == (counter_bits(FX))'(FX - 1);
  assign last_fy     = last_fx && fy_q == (counter_bits(FY))'(FY - 1);
  assign last_pass   = last_fy && pass_q == (counter_bits(PASSES))'(PASSES - 1);
  assign last_group  = last_pass && group_q == (counter_bits(GROUPS))'(GROUPS - 1);
  assign last_column = last_group && column_q == column_t'(LastColumn);
  assign last_row    = last_column && row_q == row_t'(LastRow);

  logic pad, written, issue, accept;
  ptr_t behind, room;
  assign behind  = read_q - write_q;
  assign written = behind[PtrBits-1];
  assign room    = write_q - limit_q;
  assign ready_o = room[PtrBits-1];
  assign accept  = valid_i && ready_o;
  assign issue   = (pad || written) && (!last_fy || go_i);
  assign issue_o = issue;
  assign take_o  = issue && last_fy;

  if (PAD_TOP > 0 || PAD_LEFT > 0 || LastRow + SpanY > IY || LastColumn + SpanX > IX) begin : g_pad
    row_t    iy;
    column_t ix;
    assign iy  = row_q + row_t'(fy_q) * row_t'(DILATION_Y);
    assign ix  = column_q + column_t'(fx_q) * column_t'(DILATION_X);
    assign pad = iy < 0 || iy >= row_t'(IY) || ix < 0 || ix >= column_t'(IX);
  end else begin : g_no_pad
    assign pad = 1'b0;
  end

  ptr_t read_step, start_step;
  always_comb begin
    if (last_row)         start_step = ptr_t'(StartImage);
    else if (last_column) start_step = ptr_t'(StartRow);
    else                  start_step = ptr_t'(StartColumn);
    if (!last_inner)      read_step = ptr_t'(1);
    else if (!last_fx)    read_step = ptr_t'(ToNextColumn);
    else if (!last_fy)    read_step = ptr_t'(ToNextRow);
    else if (!last_pass)  read_step = -ptr_t'(WindowSpan);
    else if (!last_group) read_step = ptr_t'(ToNextGroup);
    else                  read_step = start_step - ptr_t'(LastOffset);
  end

  ptr_t    start_d, limit_d;
  row_t    row_d;
  column_t column_d;
  assign start_d  = start_q + start_step;
  assign column_d = last_column ? column_t'(-PAD_LEFT) : column_q + column_t'(STRIDE_X);
  always_comb begin
    row_d = row_q;
    if (last_row)         row_d = row_t'(-PAD_TOP);
    else if (last_column) row_d = row_q + row_t'(STRIDE_Y);
  end

  // The oldest word needed from the next window on: its own start, or the first real pixel after it.
  if (PAD_TOP > 0 || PAD_LEFT > 0) begin : g_clipped
    always_comb begin
      if (last_row)                       limit_d = start_d + ptr_t'(DEPTH - Origin);
      else if (row_d < 0)                 limit_d = limit_q;
      else if (last_column)               limit_d = start_d + ptr_t'(DEPTH + PAD_LEFT * FOLD);
      else if (column_d < 0)              limit_d = limit_q;
      else                                limit_d = start_d + ptr_t'(DEPTH);
    end
  end else begin : g_unclipped
    assign limit_d = start_d + ptr_t'(DEPTH);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      inner_q  <= '0;
      fx_q     <= '0;
      fy_q     <= '0;
      pass_q   <= '0;
      group_q  <= '0;
      row_q    <= row_t'(-PAD_TOP);
      column_q <= column_t'(-PAD_LEFT);
      read_q   <= ptr_t'(Origin);
      start_q  <= ptr_t'(Origin);
      limit_q  <= ptr_t'(DEPTH);
    end else if (issue) begin
      inner_q <= last_inner ? '0 : inner_q + 1'b1;
      read_q  <= read_q + read_step;
      if (last_inner) fx_q <= last_fx ? '0 : fx_q + 1'b1;
      if (last_fx) fy_q <= last_fy ? '0 : fy_q + 1'b1;
      if (last_fy) pass_q <= last_pass ? '0 : pass_q + 1'b1;
      if (last_pass) group_q <= last_group ? '0 : group_q + 1'b1;
      if (last_group) begin
        column_q <= column_d;
        row_q    <= row_d;
        start_q  <= start_d;
        limit_q  <= limit_d;
      end
    end
  end

  // The limit keeps a word from being read and overwritten in one cycle.
  simple_ram #(
    .WORD_BITS(WORD_BITS), .DEPTH(DEPTH), .BLOCK(BLOCK_RAM), .FILL(FILL)
  ) u_memory (
    .clk_i,
    .write_i(accept),
    .write_address_i(write_q[AddressBits-1:0]),
    .data_i,
    .read_i(1'b1),
    .fill_i(pad),
    .read_address_i(read_q[AddressBits-1:0]),
    .data_o
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) write_q <= '0;
    else if (accept) write_q <= write_q + 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_o <= 1'b0;
    else valid_o <= issue;
  end

  always_ff @(posedge clk_i) begin
    first_o <= inner_q == '0 && fx_q == '0 && fy_q == '0;
    last_o  <= last_fy;
    pad_o   <= pad;
  end

`ifndef SYNTHESIS
  // `image_steps` leaves out the steps into the next image's padding, which need no word.
  int occupancy, peak;
  longint steps, image_steps;
  assign occupancy = DEPTH + int'(room);
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      peak        <= 0;
      steps       <= 0;
      image_steps <= 0;
    end else begin
      if (occupancy + int'(accept) > peak) peak <= occupancy + int'(accept);
      if (issue) steps <= steps + 1;
      if (issue && last_row) image_steps <= steps + 1;
    end
  end
  final $display("buffer %m depth %0d peak %0d now %0d steps %0d", DEPTH, peak, occupancy, image_steps);
`endif

endmodule
