// SPDX-License-Identifier: MIT-0
// Makes maps larger: VALUE around them, or zeros between their pixels.
//
// in:  IY x IX pixels of FOLD words. out: PAD_OY x PAD_OX pixels; those of the input lie in rows TOP, TOP + STRIDE_Y, ...
//      and columns LEFT, LEFT + STRIDE_X, ...
// The memory is circular. A word is freed when it is read, at the earliest three iterations after it was taken. This
// leaves room for the memory's own pipeline.
// Cfg: LANES BITS FOLD IY IX PAD_OY PAD_OX TOP LEFT STRIDE_Y STRIDE_X VALUE,
//      DEPTH (words of the memory, a power of two), OBITS EMIT.
// Mirrors codesign/ops/pad.py.
#pragma once

#include "types.hpp"

template <class Cfg>
void padder(out_stream<Cfg>& out, typename word<Cfg::OBITS, Cfg::EMIT>::type (&memory)[Cfg::DEPTH], uint32_t images,
            out_stream<Cfg>& in) {
  HLS_INLINE
  static_assert((Cfg::DEPTH & (Cfg::DEPTH - 1)) == 0, "DEPTH is a power of two");
  constexpr int LAST_ROW = Cfg::TOP + (Cfg::IY - 1) * Cfg::STRIDE_Y;
  constexpr int LAST_COLUMN = Cfg::LEFT + (Cfg::IX - 1) * Cfg::STRIDE_X;
  constexpr int STEPS = Cfg::PAD_OY * Cfg::PAD_OX * Cfg::FOLD;
  typedef typename word<Cfg::OBITS, Cfg::EMIT>::type word_t;
  int lane[Cfg::EMIT];
  HLS_REGISTERS(lane)
loop_lanes:
  for (int p = 0; p < Cfg::EMIT; ++p) {
    HLS_UNROLL
    lane[p] = Cfg::VALUE;
  }
  const word_t padding = pack<Cfg::OBITS>(lane);
  words_left<Cfg::IY * Cfg::IX * Cfg::FOLD> supply(images);  // words that will come
  words_left<STEPS> left(images);
  uint32_t taken = 0;  // words taken; seen, arrived and ripe follow, one iteration apart
  uint32_t seen = 0, arrived = 0, ripe = 0;
  uint32_t address = 0;  // of the next word to be read
  int index = 0, column = 0, row = 0;
  int next_column = Cfg::LEFT, next_row = Cfg::TOP;  // beyond the map where none is left
loop_steps:
  while (left.any()) {
    HLS_PIPELINE
    HLS_TRIPS(STEPS)
    HLS_WRITTEN_BEFORE(memory, 3)
    const bool nothing_left =
        next_row == Cfg::PAD_OY || (row == LAST_ROW && next_column == Cfg::PAD_OX);
    const bool ready = nothing_left || static_cast<int32_t>(ripe - address) > 0;
    const bool starved = !nothing_left && static_cast<int32_t>(taken - address) <= 0;
    ripe = arrived;
    arrived = seen;
    if (supply.any() && static_cast<int32_t>(taken - address) < Cfg::DEPTH && HLS_TAKE(in, starved)) {
      memory[taken % Cfg::DEPTH] = in.read();
      supply.advance();
      ++taken;
    }
    seen = taken;
    if (ready) {
      const bool real = row == next_row && column == next_column;
      out.write(real ? memory[address % Cfg::DEPTH] : padding);
      left.advance();
      if (real) ++address;
      const bool last_word = index == Cfg::FOLD - 1;
      const bool last_column = last_word && column == Cfg::PAD_OX - 1;
      const bool last_row = last_column && row == Cfg::PAD_OY - 1;
      index = last_word ? 0 : index + 1;
      if (last_column) {
        if (row == next_row) next_row = row == LAST_ROW ? Cfg::PAD_OY : row + Cfg::STRIDE_Y;
        if (last_row) next_row = Cfg::TOP;
        row = last_row ? 0 : row + 1;
        column = 0;
        next_column = Cfg::LEFT;
      } else if (last_word) {
        if (column == next_column) next_column = column == LAST_COLUMN ? Cfg::PAD_OX : column + Cfg::STRIDE_X;
        ++column;
      }
    }
  }
}
