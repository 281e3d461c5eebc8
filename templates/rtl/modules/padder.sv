// SPDX-License-Identifier: MIT-0
// Makes maps larger: VALUE around them, or zeros between their pixels. A step gives a word and costs a cycle.
//
// Input:  IY x IX pixels of FOLD words. Output: OY x OX pixels; those of the input lie in rows TOP, TOP + STRIDE_Y, ...
//         and columns LEFT, LEFT + STRIDE_X, ...
// A step waits for the input's next word, so an image begins when its first word has come. Steps after the last word of
// an image wait for none.
//
// A circular memory of DEPTH words (a power of two); a word is freed when it is read. A word that arrives in one
// cycle can be read in the next. Whether a step reads a word or waits for one is found a step ahead. Nothing waits behind
// a step: see output_queue.sv.
module padder
  import codesign_pkg::*;
#(
  parameter int LANES = 1,
  parameter int BITS = 8,
  parameter int FOLD = 1,
  parameter int IY = 2,
  parameter int IX = 2,
  parameter int PAD_OY = 4,
  parameter int PAD_OX = 4,
  parameter int TOP = 1,
  parameter int LEFT = 1,
  parameter int STRIDE_Y = 1,
  parameter int STRIDE_X = 1,
  parameter int VALUE = 0,
  parameter int DEPTH = 4,
  parameter bit BLOCK_RAM = 0
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic [LANES*BITS-1:0] data_i,
  input  logic                  valid_i,
  output logic                  ready_o,
  output logic [LANES*BITS-1:0] data_o,
  output logic                  valid_o,
  input  logic                  ready_i
);

  localparam int AddressBits = $clog2(DEPTH);
  typedef logic [AddressBits-1:0] ptr_t;
  typedef logic [AddressBits:0] count_t;
  localparam int LastRow = TOP + (IY - 1) * STRIDE_Y;
  localparam int LastColumn = LEFT + (IX - 1) * STRIDE_X;
  localparam int RowBits = $clog2(PAD_OY + 1);
  localparam int ColumnBits = $clog2(PAD_OX + 1);
  typedef logic [RowBits-1:0] row_t;
  typedef logic [ColumnBits-1:0] column_t;

  // Row and column of the step after the present one, and the next ones that hold pixels of the input. Where none is
  // left, these lie beyond the map.
  row_t row_q, next_row_q;
  column_t column_q, next_column_q;
  logic in_row, in_column, real_word, nothing_left;
  assign in_row       = row_q == next_row_q;
  assign in_column    = column_q == next_column_q;
  assign real_word    = in_row && in_column;
  assign nothing_left = next_row_q == row_t'(PAD_OY)
                     || (row_q == row_t'(LastRow) && next_column_q == column_t'(PAD_OX));

  ptr_t write_q, read_q;
  count_t used_q;
  logic begun_q, some_q, real_q, waits_q, accept, step, advance, pop, go, last_word, last_column, last_row;
  if (FOLD == 1) begin : g_one
    assign last_word = 1'b1;
  end else begin : g_words
    localparam int WordBits = counter_bits(FOLD);
    logic [WordBits-1:0] word_q;
    assign last_word = word_q == WordBits'(FOLD - 1);
    always_ff @(posedge clk_i) begin
      if (!rst_ni) word_q <= '0;
      else if (advance) word_q <= last_word ? '0 : word_q + 1'b1;
    end
  end
  assign last_column = last_word && column_q == column_t'(PAD_OX - 1);
  assign last_row    = last_column && row_q == row_t'(PAD_OY - 1);

  assign ready_o = !used_q[AddressBits];  // only DEPTH has this bit
  assign accept  = valid_i && ready_o;
  assign step    = (some_q || !waits_q) && go;
  assign pop     = step && real_q;
  assign advance = step || !begun_q;  // the first step waits for a word

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      row_q         <= '0;
      next_row_q    <= row_t'(TOP);
      column_q      <= '0;
      next_column_q <= column_t'(LEFT);
    end else if (advance && last_word) begin
      column_q <= last_column ? '0 : column_q + 1'b1;
      if (last_column) next_column_q <= column_t'(LEFT);
      else if (in_column) next_column_q <= column_q == column_t'(LastColumn) ? column_t'(PAD_OX)
                                                                             : column_q + column_t'(STRIDE_X);
      if (last_column) row_q <= last_row ? '0 : row_q + 1'b1;
      if (last_row) next_row_q <= row_t'(TOP);
      else if (last_column && in_row) next_row_q <= row_q == row_t'(LastRow) ? row_t'(PAD_OY)
                                                                             : row_q + row_t'(STRIDE_Y);
    end
  end

  logic [1:0] valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      begun_q <= 1'b0;
      some_q  <= 1'b0;
      real_q  <= 1'b0;
      waits_q <= 1'b1;
      write_q <= '0;
      read_q  <= '0;
      used_q  <= '0;
      valid_q <= '0;
    end else begin
      begun_q <= 1'b1;
      some_q  <= accept || (pop ? used_q > count_t'(1) : some_q);
      if (advance) real_q <= real_word;
      if (advance) waits_q <= !nothing_left;
      if (accept) write_q <= write_q + 1'b1;
      if (pop) read_q <= read_q + 1'b1;
      if (accept != pop) used_q <= accept ? used_q + 1'b1 : used_q - 1'b1;
      valid_q <= {valid_q[0], step};
    end
  end

  // Block RAM has a second register.
  logic [LANES*BITS-1:0] found, found_q;
  simple_ram #(
    .WORD_BITS(LANES * BITS), .DEPTH(DEPTH), .BLOCK(BLOCK_RAM), .FILL({LANES{BITS'(VALUE)}})
  ) u_memory (
    .clk_i,
    .write_i(accept),
    .write_address_i(write_q),
    .data_i,
    .read_i(1'b1),
    .fill_i(!real_q),
    .read_address_i(read_q),
    .data_o(found)
  );
  always_ff @(posedge clk_i) found_q <= found;

  output_queue #(
    .WORD_BITS(LANES * BITS), .DEPTH(output_depth(BLOCK_RAM ? 2 : 1))
  ) u_queue (
    .clk_i, .rst_ni,
    .take_i(step),
    .go_o(go),
    .data_i(BLOCK_RAM ? found_q : found),
    .valid_i(valid_q[BLOCK_RAM]),
    .data_o, .valid_o, .ready_i
  );
  logic unused;
  assign unused = &{1'b0, found_q, valid_q};

`ifndef SYNTHESIS
  buffer_monitor #(
    .DEPTH(DEPTH)
  ) u_monitor (
    .clk_i, .rst_ni,
    .used_i(int'(used_q)),
    .write_i(accept),
    .step_i(step),
    .image_i(1'b1)
  );
`endif

endmodule
