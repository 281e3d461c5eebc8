// SPDX-License-Identifier: MIT-0
// Line buffer of an engine that takes a column of the window in a step: FY words, one of each row of the window.
//
// Input:  IY x IX pixels of FOLD words, image after image.
// Output: FY words per step, the top row's lowest, for oy, ox, group, pass, fx, inner word. See line_buffer.sv for
//         groups and passes. `first_o` and `last_o` mark the first and last step of a pass: one result. The last
//         waits for go_i.
//
// BANKS memories of a row each make one circular memory of BANKS * IX * FOLD words. It takes the rows of all images in
// turn. So the word at one place of all rows of a window is at one address in different banks, and all are read at
// once. A register behind them puts each row's word in its place, or FILL where row or column lie outside the map. A
// step waits for its word in the window's lowest row inside the map; those above came before. What is needed and what
// is free is counted in words, as in line_buffer:
//   address_q  word of the step in its row; negative, or from Row on, outside the map
//   ahead_q    words written, less those up to the one that the step waits for: it is there unless this is negative
//   space_q    words that may still be written, less one
// Invariant: a step reads only words that are written, and of these none that a later one has replaced.
// A word that arrives in one cycle can be read in the next; a step costs one cycle, and its words follow two cycles
// later.
module row_buffer
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
  parameter int DILATION_X = 1,
  parameter int GROUPS = 1,
  parameter int PASSES = 1,
  parameter int BANKS = 3,
  parameter bit BLOCK_RAM = 0,
  parameter logic [WORD_BITS-1:0] FILL = '0
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,
  input  logic [WORD_BITS-1:0]         data_i,
  input  logic                         valid_i,
  output logic                         ready_o,
  input  logic                         go_i,     // the last step of a result may be taken
  output logic                         issue_o,  // the words of a step follow one cycle later
  output logic                         take_o,   // the last step of a result is taken in this cycle
  output logic [FY-1:0][WORD_BITS-1:0] data_o,
  output logic                         valid_o,
  output logic                         first_o,
  output logic                         last_o
);

  localparam int Inner = FOLD / GROUPS;
  localparam int Row = IX * FOLD;
  localparam int Depth = BANKS * Row;
  localparam int RamDepth = max(Row, 2);
  localparam int AddressBits = $clog2(RamDepth);

  // Distances in words between consecutive steps: to the next column, and back to the next pass. To the next group, to
  // the next window, and back to the first window of a row.
  localparam int PassSpan = (FX - 1) * DILATION_X * FOLD + Inner - 1;
  localparam int LastColumn = (OX - 1) * STRIDE_X - PAD_LEFT;
  localparam int Origin = -PAD_LEFT * FOLD;
  localparam int Furthest = LastColumn * FOLD + PassSpan + FOLD - Inner;
  localparam int ToNextColumn = DILATION_X * FOLD - (Inner - 1);
  localparam int ToNextGroup = Inner - PassSpan;
  localparam int ToNextWindow = STRIDE_X * FOLD - (PassSpan + FOLD - Inner);
  localparam int ToNextRow = Origin - Furthest;
  localparam int PlaceBits = $clog2(max(Row, Furthest + 1) + PAD_LEFT * FOLD + 1) + 1;
  typedef logic signed [PlaceBits-1:0] place_t;

  // The lowest row inside the map, of the first and the last windows. From one row of windows to the next it moves on by
  // STRIDE_Y, then once by less, then not at all.
  localparam int LastTop = (OY - 1) * STRIDE_Y - PAD_TOP;
  localparam int FirstLow = min(FY - 1 - PAD_TOP, IY - 1);
  localparam int LastLow = min(LastTop + FY - 1, IY - 1);
  localparam int LowPart = (IY + PAD_TOP - FY) % STRIDE_Y;
  localparam int NextImageLow = IY - LastLow + FirstLow;
  // The first column and row of windows that begin beyond the map's first pixel.
  localparam int FirstFreeColumn = STRIDE_X - PAD_LEFT % STRIDE_X;
  localparam int FirstFreeRow = STRIDE_Y - PAD_TOP % STRIDE_Y;
  localparam int FreeRow = (STRIDE_Y * IX - max(LastColumn, 0)) * FOLD;
  localparam int FreeImage = (IY * IX - (LastTop < 0 ? 0 : LastTop * IX + max(LastColumn, 0))) * FOLD;

  // What the first row of windows brings at its end, as more words ahead and as words freed; what its windows free.
  localparam int FirstTurn = -(ToNextRow + (OY == 1 ? NextImageLow : min(FirstLow + STRIDE_Y, IY - 1) - FirstLow) * Row);
  localparam int FirstFreeTurn =
      OY == 1 ? FreeImage : PAD_TOP == 0 ? FreeRow : PAD_TOP < STRIDE_Y ? FirstFreeRow * Row : 0;
  localparam int FirstFree = PAD_LEFT == 0 ? STRIDE_X * FOLD : PAD_LEFT < STRIDE_X ? FirstFreeColumn * FOLD : 0;

  localparam int Reach = max(NextImageLow, STRIDE_Y) * Row + Furthest - Origin + 1;
  localparam int WordBits = $clog2(Depth + Reach + 1) + 1;
  typedef logic signed [WordBits-1:0] words_t;

  localparam int RowBits = $clog2(max(IY, FY) + max(FY, STRIDE_Y) + 1) + 1;
  localparam int SpanX = (FX - 1) * DILATION_X + 1;
  localparam int ColumnBits = $clog2(max(IX, SpanX) + max(SpanX, STRIDE_X) + 1) + 1;
  typedef logic signed [RowBits-1:0] row_t;
  typedef logic signed [ColumnBits-1:0] column_t;

  logic issue, accept, outside;
  logic last_inner, last_fx, last_pass, last_group, last_column, last_row, last_column_q, last_row_q, first_q;
  logic end_pass, end_group;
  place_t  address_q;
  words_t  ahead_q, space_q;
  column_t column_q;
  row_t    row_q;

  // Loops; `last_` tells that all within are in their last turn as well. The steps of a pass are counted whole.
  loop_counter #(.COUNT(Inner)) u_inner (.clk_i, .rst_ni, .step_i(issue), .last_o(last_inner));
  loop_counter #(.COUNT(FX * Inner)) u_step (.clk_i, .rst_ni, .step_i(issue), .last_o(last_fx));
  loop_counter #(.COUNT(PASSES)) u_pass (.clk_i, .rst_ni, .step_i(issue && last_fx), .last_o(end_pass));
  loop_counter #(.COUNT(GROUPS)) u_group (.clk_i, .rst_ni, .step_i(issue && last_pass), .last_o(end_group));
  assign last_pass   = last_fx && end_pass;
  assign last_group  = last_pass && end_group;
  assign last_column = last_group && last_column_q;
  assign last_row    = last_column && last_row_q;

  // If an image's first window lies outside the map, its first step waits for its first word: no result leaves before.
  logic begun;
  if (misses(FY, 1, PAD_TOP, IY) || misses(FX, DILATION_X, PAD_LEFT, IX)) begin : g_waits
    logic begins_q;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begins_q <= 1'b1;
      else if (issue) begins_q <= last_row;
    end
    assign begun = !begins_q || ahead_q >= words_t'(-(FirstLow * Row + Origin));
  end else begin : g_goes
    assign begun = 1'b1;
  end

  assign ready_o = !space_q[WordBits-1];
  assign accept  = valid_i && ready_o;
  assign issue   = begun && (outside || !ahead_q[WordBits-1]) && (!last_fx || go_i);
  assign take_o  = issue && last_fx;

  // What the end of this row of windows brings, and what the end of this window frees: known one row and one window
  // ahead. `turn_q`: more words ahead; `free_row_q`, `free_q`: words that no step needs any more, less one.
  words_t turn_q, turn_d, free_row_q, free_row_d, free_q, free_d;
  always_comb begin
    if (last_row)                                      turn_d = words_t'(FirstTurn);
    else if (row_q == row_t'(LastTop - STRIDE_Y))      turn_d = words_t'(-(ToNextRow + NextImageLow * Row));
    else if (int'(row_q) <= IY - FY - 2 * STRIDE_Y)    turn_d = words_t'(-(ToNextRow + STRIDE_Y * Row));
    else if (int'(row_q) < IY - FY - STRIDE_Y)         turn_d = words_t'(-(ToNextRow + LowPart * Row));
    else                                               turn_d = words_t'(-ToNextRow);
    if (last_row)                                      free_row_d = words_t'(FirstFreeTurn - 1);
    else if (row_q == row_t'(LastTop - STRIDE_Y))      free_row_d = words_t'(FreeImage - 1);
    else if (int'(row_q) >= -STRIDE_Y)                 free_row_d = words_t'(FreeRow - 1);
    else if (int'(row_q) > -2 * STRIDE_Y)              free_row_d = words_t'(FirstFreeRow * Row - 1);
    else                                               free_row_d = words_t'(-1);
    free_d = words_t'(-1);
    if (last_column) begin
      if (last_row ? PAD_TOP == 0 : int'(row_q) >= -STRIDE_Y) free_d = words_t'(FirstFree - 1);
    end else if (row_q >= 0) begin
      if (int'(column_q) >= -STRIDE_X)                 free_d = words_t'(STRIDE_X * FOLD - 1);
      else if (int'(column_q) > -2 * STRIDE_X)         free_d = words_t'(FirstFreeColumn * FOLD - 1);
    end
  end

  // The way to the place of the next step, and how many more words are then ahead.
  place_t step;
  words_t more;
  always_comb begin
    step = place_t'(ToNextRow);
    more = turn_q;
    if (!last_inner) begin
      step = place_t'(1);
      more = words_t'(-1);
    end else if (!last_fx) begin
      step = place_t'(ToNextColumn);
      more = words_t'(-ToNextColumn);
    end else if (!last_pass) begin
      step = place_t'(-PassSpan);
      more = words_t'(PassSpan);
    end else if (!last_group) begin
      step = place_t'(ToNextGroup);
      more = words_t'(-ToNextGroup);
    end else if (!last_column) begin
      step = place_t'(ToNextWindow);
      more = words_t'(-ToNextWindow);
    end
  end

  // Whether the column of a step lies outside: a second count, a row behind, tells the right edge without a comparison.
  if (PAD_LEFT > 0 || Furthest >= Row) begin : g_edges
    logic right;
    if (Furthest >= Row) begin : g_right
      place_t beyond_q;
      always_ff @(posedge clk_i) begin
        if (!rst_ni) beyond_q <= place_t'(Origin - Row);
        else if (issue) beyond_q <= beyond_q + step;
      end
      assign right = !beyond_q[PlaceBits-1];
    end else begin : g_no_right
      assign right = 1'b0;
    end
    assign outside = address_q[PlaceBits-1] || right;
  end else begin : g_no_edges
    assign outside = 1'b0;
  end

  words_t freed;
  always_comb begin
    freed = words_t'(-1);
    if (issue && last_group) freed = last_column_q ? free_row_q : free_q;
  end

  // A bit below the lowest carries one more into each sum: the word that comes in, or the one that does not.
  logic unused_ahead, unused_space;
  words_t ahead_d, space_d;
  assign {ahead_d, unused_ahead} = {ahead_q, 1'b1} + {issue ? more : words_t'(0), accept};
  assign {space_d, unused_space} = {space_q, 1'b1} + {freed, !accept};

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      ahead_q <= words_t'(-(FirstLow * Row + Origin) - 1);
      space_q <= words_t'(Depth - 1);
    end else begin
      ahead_q <= ahead_d;
      space_q <= space_d;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      address_q     <= place_t'(Origin);
      column_q      <= column_t'(-PAD_LEFT);
      row_q         <= row_t'(-PAD_TOP);
      last_column_q <= OX == 1;
      last_row_q    <= OY == 1;
      first_q       <= 1'b1;
      turn_q        <= words_t'(FirstTurn);
      free_row_q    <= words_t'(FirstFreeTurn - 1);
      free_q        <= words_t'((PAD_TOP == 0 ? FirstFree : 0) - 1);
    end else if (issue) begin
      address_q <= address_q + step;
      first_q   <= last_fx;
      if (last_group) begin
        free_q        <= free_d;
        column_q      <= last_column ? column_t'(-PAD_LEFT) : column_q + column_t'(STRIDE_X);
        last_column_q <= OX == 1 || (!last_column && column_q == column_t'(LastColumn - STRIDE_X));
      end
      if (last_column) begin
        turn_q     <= turn_d;
        free_row_q <= free_row_d;
        row_q      <= last_row ? row_t'(-PAD_TOP) : row_q + row_t'(STRIDE_Y);
        last_row_q <= OY == 1 || (!last_row && row_q == row_t'(LastTop - STRIDE_Y));
      end
    end
  end

  // Words come in row after row, bank after bank.
  logic [AddressBits-1:0] write_q;
  logic [BANKS-1:0]       bank_q;
  logic                   end_row_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      write_q   <= '0;
      end_row_q <= Row == 1;
      bank_q    <= BANKS'(1);
    end else if (accept) begin
      write_q   <= end_row_q ? '0 : write_q + 1'b1;
      end_row_q <= Row == 1 || (!end_row_q && write_q == AddressBits'(Row - 2));
      if (end_row_q) bank_q <= BANKS'({bank_q, bank_q[BANKS-1]});
    end
  end

  // A word is read only where it was written in an earlier cycle, and overwritten only where it is not needed.
  logic [BANKS-1:0][WORD_BITS-1:0] words;
  for (genvar b = 0; b < BANKS; b++) begin : g_bank
    simple_ram #(
      .WORD_BITS(WORD_BITS), .DEPTH(RamDepth), .BLOCK(BLOCK_RAM)
    ) u_memory (
      .clk_i,
      .write_i(accept && bank_q[b]),
      .write_address_i(write_q),
      .data_i,
      .read_i(1'b1),
      .fill_i(1'b0),
      .read_address_i(address_q[AddressBits-1:0]),
      .data_o(words[b])
    );
  end

  logic valid_q, first_word_q, last_word_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q <= 1'b0;
      valid_o <= 1'b0;
    end else begin
      valid_q <= issue;
      valid_o <= valid_q;
    end
  end
  always_ff @(posedge clk_i) begin
    first_word_q <= first_q;
    last_word_q  <= last_fx;
    first_o      <= first_word_q;
    last_o       <= last_word_q;
  end
  assign issue_o = valid_q;

  // Each row of the window: the bank that it lies in, and whether it lies outside the map.
  for (genvar f = 0; f < FY; f++) begin : g_row
    localparam int BankBits = counter_bits(BANKS);
    typedef logic [BankBits-1:0] bank_t;
    localparam int First = (f + PAD_TOP * (BANKS - 1)) % BANKS;
    localparam int Next = STRIDE_Y % BANKS;
    localparam int NextImage = (IY + (OY - 1) * STRIDE_Y * (BANKS - 1)) % BANKS;
    bank_t here_q, step_q, onto;
    localparam bit Above = f < PAD_TOP;
    localparam bit Below = LastTop + f >= IY;
    logic pad, pad_q;

    assign onto = last_row ? bank_t'(NextImage) : bank_t'(Next);
    always_ff @(posedge clk_i) begin
      if (!rst_ni) here_q <= bank_t'(First);
      else if (issue && last_column) begin
        here_q <= (int'(here_q) + int'(onto) >= BANKS) ? bank_t'(int'(here_q) + int'(onto) - BANKS) : here_q + onto;
      end
    end

    assign pad = outside || (Above && row_q < row_t'(-f)) || (Below && row_q >= row_t'(IY - f));
    always_ff @(posedge clk_i) begin
      step_q <= here_q;
      pad_q  <= pad;
    end

    for (genvar b = 0; b < BANKS; b++) begin : g_choice
      logic [WORD_BITS-1:0] word;
      if (b == 0) begin : g_first
        assign word = words[0];
      end else begin : g_next
        assign word = (step_q == bank_t'(b)) ? words[b] : g_choice[b-1].word;
      end
    end
    always_ff @(posedge clk_i) begin
      data_o[f] <= pad_q ? FILL : g_choice[BANKS-1].word;
    end
    logic unused_step;  // one bank is no choice
    assign unused_step = &{1'b0, step_q};
  end

  logic unused;
  assign unused = &{1'b0, unused_ahead, unused_space};

`ifndef SYNTHESIS
  // Left out: steps into the padding of the next image, which need no word.
  buffer_monitor #(
    .DEPTH(Depth)
  ) u_monitor (
    .clk_i, .rst_ni,
    .used_i(Depth - 1 - int'(space_q)),
    .write_i(accept),
    .step_i(issue),
    .image_i(last_row)
  );
`endif

endmodule
