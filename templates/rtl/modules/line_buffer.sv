// SPDX-License-Identifier: MIT-0
// Line buffer of one engine: takes the input map word by word and replays it window by window.
//
// Input:  IY x IX pixels of FOLD words, image after image.
// Output: one word per step, for oy, ox, group, pass, fy, fx, inner word. Every pass walks the FOLD / GROUPS words of
//         its group at each window position. Channels that all mix are one group, channels that do not are FOLD groups
//         of a word and a pass. `first_o` and `last_o` mark the first and last step of a pass: one result. The last waits
//         for go_i.
//
// A circular memory of DEPTH words (a power of two). Apart from addresses, its state is two distances:
//   behind_q  from the next word that is written to the word of the present step: below 0, that word is there
//   room_q    from the end of what may be written to the next word that is written: below 0, a word may come
// Inside the padding a step's word is virtual and never read. What may be written ends DEPTH words behind the oldest
// word that is still needed.
// Invariant: a step that is not padding reads only words from that oldest one to the last that was written.
// A word that arrives in one cycle can be read in the next; a step costs one cycle. The room that a window leaves can be
// written to in the next cycle but one. What a step does is known a step ahead, so that all paths begin at registers.
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
  // The word of a step lies less than this ahead of the next word that is written: it was not needed yet. Or it lies at
  // most DEPTH behind. What may be written ends at most DEPTH plus this ahead.
  localparam int Reach = max(StartImage, StartRow) + WindowSpan + StartColumn + 1;
  localparam int PtrBits = $clog2(DEPTH + Reach) + 1;
  typedef logic signed [PtrBits-1:0] ptr_t;

  // First position of the last window's start, and of a window's start, negative inside the padding.
  localparam int LastRow = (OY - 1) * STRIDE_Y - PAD_TOP;
  localparam int LastColumn = (OX - 1) * STRIDE_X - PAD_LEFT;
  localparam int RowBits = $clog2(max(IY, SpanY) + max(SpanY, STRIDE_Y) + 1) + 1;
  localparam int ColumnBits = $clog2(max(IX, SpanX) + max(SpanX, STRIDE_X) + 1) + 1;
  typedef logic signed [RowBits-1:0] row_t;
  typedef logic signed [ColumnBits-1:0] column_t;

  // Loops, the innermost first: word of a group, fx, fy, pass, group, column, row; after all comes the next image. A
  // step advances one loop and restarts those below it. `level_q` is the loop that the present step advances. `moves_q`
  // tells for each loop whether it is this one or one below it.
  localparam int Loops = 7;
  localparam int Row = 6;
  localparam int Image = 7;
  localparam int Result = 3;  // a step that moves this loop ends a result
  localparam int Window = 5;  // and one that moves this loop a window
  // Of the loops that turn at all.
  localparam int Innermost = (Inner > 1) ? 0 : (FX > 1) ? 1 : (FY > 1) ? 2 : (PASSES > 1) ? 3 : (GROUPS > 1) ? 4 :
                             (OX > 1) ? 5 : (OY > 1) ? 6 : Image;

  logic [2:0] level_q;
  logic [Image:0] moves_q;
  logic [Loops-1:0] last;  // the loop is in its last turn
  logic near_q;            // the innermost loop is in its last turn but one
  logic issue, accept, written, last_step, row_ends, first_step_q, pad_q;
  ptr_t    behind_q;
  row_t    row_q;
  column_t column_q;

  for (genvar i = 0; i < Loops; i++) begin : g_loop
    localparam int Turns = (i == 0) ? Inner : (i == 1) ? FX : (i == 2) ? FY : (i == 3) ? PASSES : (i == 4) ? GROUPS :
                           (i == 5) ? OX : OY;
    if (Turns == 1) begin : g_once
      assign last[i] = 1'b1;
    end else begin : g_turns
      localparam int TurnBits = counter_bits(Turns);
      logic [TurnBits-1:0] turn_q;
      always_ff @(posedge clk_i) begin
        if (!rst_ni) turn_q <= '0;
        else if (issue && moves_q[i]) turn_q <= moves_q[i+1] ? '0 : turn_q + 1'b1;
      end
      if (i == Innermost) begin : g_first
        assign last[i] = moves_q[i+1];
        always_ff @(posedge clk_i) begin
          if (!rst_ni) near_q <= Turns == 2;
          else if (issue) near_q <= moves_q[i+1] ? Turns == 2 : Turns > 2 && turn_q == TurnBits'(Turns - 3);
        end
      end else begin : g_outer
        logic last_q;
        assign last[i] = last_q;
        always_ff @(posedge clk_i) begin
          if (!rst_ni) last_q <= 1'b0;
          else if (issue && moves_q[i]) last_q <= !last_q && turn_q == TurnBits'(Turns - 2);
        end
      end
    end
  end

  // After a step that moved another loop the innermost one turns; when it ends, the first that does not end turns.
  if (Innermost == Image) begin : g_single
    assign level_q      = 3'(Image);
    assign moves_q      = '1;
    assign first_step_q = 1'b1;
    assign near_q       = 1'b0;
    logic unused;
    assign unused = &{1'b0, near_q, last};
  end else begin : g_steps
    logic [Image:0] moves_d;
    logic [2:0] level_d;
    always_comb begin
      moves_d = '0;
      level_d = '0;
      for (int i = 0; i <= Image; i++) begin
        if (i <= Innermost)          moves_d[i] = 1'b1;
        else if (i == Innermost + 1) moves_d[i] = near_q && !moves_q[i];
        else                         moves_d[i] = moves_d[i-1] && last[i-1];
        if (moves_d[i]) level_d = 3'(i);
      end
    end
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        level_q      <= 3'(Innermost);
        moves_q      <= (Image + 1)'((2 << Innermost) - 1);
        first_step_q <= 1'b1;
      end else if (issue) begin
        level_q      <= level_d;
        moves_q      <= moves_d;
        first_step_q <= last_step;
      end
    end
  end

  // If an image's first window lies outside the map, its first step waits for its first word: no result leaves before.
  logic begun;
  if (misses(FY, DILATION_Y, PAD_TOP, IY) || misses(FX, DILATION_X, PAD_LEFT, IX)) begin : g_waits
    logic begins_q;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begins_q <= 1'b1;
      else if (issue) begins_q <= row_ends;
    end
    assign begun = !begins_q || behind_q < ptr_t'(Origin);
  end else begin : g_goes
    assign begun = 1'b1;
  end

  assign last_step = moves_q[Result];
  assign issue     = begun && (pad_q || written) && (!last_step || go_i);
  assign issue_o   = issue;
  assign take_o    = begun && (pad_q || written) && last_step && go_i;
  assign accept    = valid_i && ready_o;

  // Where the window starts.
  logic next_row, next_column, row_inside, column_inside, row_stays, column_stays;
  assign next_row    = moves_q[Row];
  assign next_column = moves_q[Window];
  assign row_ends    = moves_q[Image];
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      row_q    <= row_t'(-PAD_TOP);
      column_q <= column_t'(-PAD_LEFT);
    end else if (issue) begin
      if (next_row) row_q <= row_ends ? row_t'(-PAD_TOP) : row_q + row_t'(STRIDE_Y);
      if (next_column) column_q <= next_row ? column_t'(-PAD_LEFT) : column_q + column_t'(STRIDE_X);
    end
  end
  // Whether the window's start lies inside the map, and whether the next one's stays outside.
  assign row_inside    = PAD_TOP == 0 || row_q >= 0;
  assign column_inside = PAD_LEFT == 0 || column_q >= 0;
  assign row_stays     = PAD_TOP > STRIDE_Y && row_q < row_t'(-STRIDE_Y);
  assign column_stays  = PAD_LEFT > STRIDE_X && column_q < column_t'(-STRIDE_X);

  if (PAD_TOP > 0 || PAD_LEFT > 0 || LastRow + SpanY > IY || LastColumn + SpanX > IX) begin : g_pad
    row_t    iy_q;
    column_t ix_q;
    logic    y_pad_q, x_pad_q, y_pad, x_pad, next_fy, next_fx, y_pad_d, x_pad_d;
    assign next_fx = moves_q[1];
    assign next_fy = moves_q[2];
    assign x_pad_d = next_fx ? x_pad : x_pad_q;
    assign y_pad_d = next_fy ? y_pad : y_pad_q;
    always_comb begin
      if (!next_fy)               x_pad = ix_q < column_t'(-DILATION_X) || ix_q >= column_t'(IX - DILATION_X);
      else if (!next_column)      x_pad = !column_inside;
      else if (next_row)          x_pad = PAD_LEFT > 0;
      else                        x_pad = column_stays;
      if (!last_step)              y_pad = iy_q < row_t'(-DILATION_Y) || iy_q >= row_t'(IY - DILATION_Y);
      else if (!next_row)         y_pad = !row_inside;
      else if (row_ends)          y_pad = PAD_TOP > 0;
      else                        y_pad = row_stays;
    end
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        iy_q    <= row_t'(-PAD_TOP);
        ix_q    <= column_t'(-PAD_LEFT);
        y_pad_q <= PAD_TOP > 0;
        x_pad_q <= PAD_LEFT > 0;
        pad_q   <= PAD_TOP > 0 || PAD_LEFT > 0;
      end else if (issue) begin
        x_pad_q <= x_pad_d;
        y_pad_q <= y_pad_d;
        pad_q   <= x_pad_d || y_pad_d;
        if (next_fx) begin
          if (!next_fy)               ix_q <= ix_q + column_t'(DILATION_X);
          else if (!next_column)      ix_q <= column_q;
          else if (next_row)          ix_q <= column_t'(-PAD_LEFT);
          else                        ix_q <= column_q + column_t'(STRIDE_X);
        end
        if (next_fy) begin
          if (!last_step)              iy_q <= iy_q + row_t'(DILATION_Y);
          else if (!next_row)         iy_q <= row_q;
          else if (row_ends)          iy_q <= row_t'(-PAD_TOP);
          else                        iy_q <= row_q + row_t'(STRIDE_Y);
        end
      end
    end
  end else begin : g_no_pad
    assign pad_q = 1'b0;
  end

  // How far a step moves on, less one.
  ptr_t step;
  always_comb begin
    case (level_q)
      3'd0:    step = ptr_t'(0);
      3'd1:    step = ptr_t'(ToNextColumn - 1);
      3'd2:    step = ptr_t'(ToNextRow - 1);
      3'd3:    step = ptr_t'(-WindowSpan - 1);
      3'd4:    step = ptr_t'(ToNextGroup - 1);
      3'd5:    step = ptr_t'(StartColumn - LastOffset - 1);
      3'd6:    step = ptr_t'(StartRow - LastOffset - 1);
      default: step = ptr_t'(StartImage - LastOffset - 1);
    endcase
  end

  // One less, and one more through the carry of a bit below the lowest unless a word comes: one adder.
  ptr_t behind_d;
  logic unused_carry;
  assign {behind_d, unused_carry} = {behind_q, 1'b1} + {issue ? step : ptr_t'(-1), !accept};
  assign written = behind_q[PtrBits-1];
  logic [AddressBits-1:0] write_q, read_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      behind_q <= ptr_t'(Origin);
      read_q   <= AddressBits'(Origin);
      write_q  <= '0;
    end else begin
      behind_q <= behind_d;
      if (issue) read_q <= read_q + AddressBits'(step) + 1'b1;
      if (accept) write_q <= write_q + 1'b1;
    end
  end

  // Words that are freed where a window ends, one cycle late. They reach up to the next window's start, or to the first
  // real pixel after it. FirstRow and FirstColumn are the first starts inside the map.
  localparam int FirstRow = ceil_div(PAD_TOP, STRIDE_Y) * STRIDE_Y - PAD_TOP;
  localparam int FirstColumn = ceil_div(PAD_LEFT, STRIDE_X) * STRIDE_X - PAD_LEFT;
  localparam int LastFreed = (LastRow < 0) ? 0 : (LastRow * IX + max(LastColumn, 0)) * FOLD;
  ptr_t given, given_q, room_q, room_d;
  logic ends_q, unused_room;
  always_comb begin
    given = '0;
    if (row_ends)           given = ptr_t'(LastFreed - IY * IX * FOLD);
    else if (next_row) begin
      if (row_inside)       given = ptr_t'((max(LastColumn, 0) - STRIDE_Y * IX) * FOLD);
      else if (!row_stays)  given = ptr_t'(-FirstRow * IX * FOLD);
    end else if (next_column && row_inside) begin
      if (column_inside)       given = ptr_t'(-StartColumn);
      else if (!column_stays)  given = ptr_t'(-FirstColumn * FOLD);
    end
  end
  assign {room_d, unused_room} = {room_q, 1'b1} + {ends_q ? given_q : '0, accept};
  assign ready_o = room_q[PtrBits-1];
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      ends_q <= 1'b0;
      room_q <= ptr_t'(-DEPTH);
    end else begin
      ends_q <= issue;
      room_q <= room_d;
    end
  end
  always_ff @(posedge clk_i) given_q <= given;

  // No word is read and overwritten in one cycle: room comes later.
  simple_ram #(
    .WORD_BITS(WORD_BITS), .DEPTH(DEPTH), .BLOCK(BLOCK_RAM), .FILL(FILL)
  ) u_memory (
    .clk_i,
    .write_i(accept),
    .write_address_i(write_q),
    .data_i,
    .read_i(1'b1),
    .fill_i(pad_q),
    .read_address_i(read_q),
    .data_o
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_o <= 1'b0;
    else valid_o <= issue;
  end
  always_ff @(posedge clk_i) begin
    first_o <= first_step_q;
    last_o  <= last_step;
    pad_o   <= pad_q;
  end

`ifndef SYNTHESIS
  // Left out: steps into the padding of the next image, which need no word.
  buffer_monitor #(
    .DEPTH(DEPTH)
  ) u_monitor (
    .clk_i, .rst_ni,
    .used_i(DEPTH + int'(room_q)),
    .write_i(accept),
    .step_i(issue),
    .image_i(row_ends)
  );
`endif

endmodule
