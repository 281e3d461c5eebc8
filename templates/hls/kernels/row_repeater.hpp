// SPDX-License-Identifier: MIT-0
// Makes maps larger: every pixel FX times in its row, every row FY times.
//
// in: rows of X pixels, each of FOLD words. out: the words of the larger map.
// The memory is circular; addresses count words from the start, modulo 2**32. `taken` words have arrived, those before
// `held` are no longer needed. A word is read at the earliest three iterations after it was taken. This leaves room for
// the memory's own pipeline.
// Cfg: FOLD X FY FX, DEPTH (words of the memory, a power of two), PIXELS OUT_PIXEL_WORDS (of the larger map),
//      OBITS EMIT.
// Mirrors codesign/ops/resize.py.
#pragma once

#include "types.hpp"

template <class Cfg>
void row_repeater(out_stream<Cfg>& out, typename word<Cfg::OBITS, Cfg::EMIT>::type (&memory)[Cfg::DEPTH],
                  uint32_t images, out_stream<Cfg>& in) {
  HLS_INLINE
  static_assert((Cfg::DEPTH & (Cfg::DEPTH - 1)) == 0, "DEPTH is a power of two");
  constexpr int ROW = Cfg::X * Cfg::FOLD;
  constexpr int STEPS = Cfg::PIXELS * Cfg::OUT_PIXEL_WORDS;
  words_left<STEPS / (Cfg::FY * Cfg::FX)> supply(images);  // words that will come
  words_left<STEPS> left(images);
  uint32_t taken = 0;  // words taken; seen, arrived and ripe follow, one iteration apart
  uint32_t seen = 0, arrived = 0, ripe = 0;
  uint32_t held = 0, address = 0;
  int index = 0, copy = 0, column = 0, pass = 0;
loop_steps:
  while (left.any()) {
    HLS_PIPELINE
    HLS_TRIPS(STEPS)
    HLS_WRITTEN_BEFORE(memory, 3)
    const bool ready = static_cast<int32_t>(ripe - address) > 0;
    const bool starved = static_cast<int32_t>(taken - address) <= 0;
    ripe = arrived;
    arrived = seen;
    if (supply.any() && static_cast<int32_t>(taken - held) < Cfg::DEPTH && HLS_TAKE(in, starved)) {
      memory[taken % Cfg::DEPTH] = in.read();
      supply.advance();
      ++taken;
    }
    seen = taken;
    if (ready) {
      out.write(memory[address % Cfg::DEPTH]);
      left.advance();
      const bool last_word = index == Cfg::FOLD - 1;
      const bool last_copy = last_word && copy == Cfg::FX - 1;
      const bool last_column = last_copy && column == Cfg::X - 1;
      const bool last_pass = pass == Cfg::FY - 1;
      const uint32_t back = last_word && !last_copy ? Cfg::FOLD : last_column && !last_pass ? ROW : 0;
      address += 1 - back;
      if (last_copy && last_pass) held = address;
      index = last_word ? 0 : index + 1;
      if (last_word) copy = last_copy ? 0 : copy + 1;
      if (last_copy) column = last_column ? 0 : column + 1;
      if (last_column) pass = last_pass ? 0 : pass + 1;
    }
  }
}
