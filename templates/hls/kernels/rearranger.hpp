// SPDX-License-Identifier: MIT-0
// Reads the words of a map in another order, or only some of them: nested loops over a memory.
//
// NUMBERS: how many turns each of LOOPS loops makes, the innermost first; then how many words further on each turn of a
// loop begins. All begins at word FIRST of an image of IMAGE words. Words before the next are freed when all loops
// below FREE end; with PASS < LOOPS, only in the last turn of that loop.
// The memory is circular; addresses count words from the start, modulo 2**32. `taken` words have arrived, those before
// `held` are no longer needed. A word is read three iterations after it was taken at the earliest, which leaves room for
// the memory's own pipeline.
// Cfg: LOOPS FIRST FREE PASS IMAGE, DEPTH (words of the memory, a power of two), PIXELS OUT_PIXEL_WORDS (of the map that
//      goes out) OBITS EMIT.
// Mirrors codesign/machine/feeds.py.
#pragma once

#include "types.hpp"

template <class Cfg, int... NUMBERS>
void rearranger(out_stream<Cfg>& out, typename word<Cfg::OBITS, Cfg::EMIT>::type (&memory)[Cfg::DEPTH],
                uint32_t images, out_stream<Cfg>& in) {
  HLS_INLINE
  static_assert((Cfg::DEPTH & (Cfg::DEPTH - 1)) == 0, "DEPTH is a power of two");
  static_assert(sizeof...(NUMBERS) == 2 * Cfg::LOOPS, "a count and a stride for each loop");
  const int numbers[] = {NUMBERS...};
  HLS_REGISTERS(numbers)
  constexpr int STEPS = Cfg::PIXELS * Cfg::OUT_PIXEL_WORDS;
  words_left<Cfg::IMAGE> supply(images);  // words that will come
  words_left<STEPS> left(images);
  uint32_t taken = 0;  // words taken; seen, arrived and ripe follow, one iteration apart
  uint32_t seen = 0, arrived = 0, ripe = 0;
  uint32_t held = 0, address = Cfg::FIRST;
  int turn[Cfg::LOOPS] = {};
  HLS_REGISTERS(turn)
loop_steps:
  while (left.any() || supply.any()) {
    HLS_PIPELINE
    HLS_TRIPS(STEPS)
    HLS_WRITTEN_BEFORE(memory, 3)
    const bool ready = left.any() && static_cast<int32_t>(ripe - address) > 0;
    const bool starved = !left.any() || static_cast<int32_t>(taken - address) <= 0;
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
      int jump = Cfg::IMAGE;         // where all loops end
      int back = 0;                  // from the last word of all loops below to their first
      bool ends = true;              // all loops below end
      bool gives_up = Cfg::FREE == 0;
      bool last_pass = Cfg::PASS == Cfg::LOOPS;
    loop_turns:
      for (int i = 0; i < Cfg::LOOPS; ++i) {
        HLS_UNROLL
        const bool last = turn[i] == numbers[i] - 1;
        if (i == Cfg::PASS) last_pass = last;
        if (ends) {
          turn[i] = last ? 0 : turn[i] + 1;
          if (!last) jump = numbers[Cfg::LOOPS + i];
          if (last) back += (numbers[i] - 1) * numbers[Cfg::LOOPS + i];
        }
        ends = ends && last;
        if (i == Cfg::FREE - 1) gives_up = ends;
      }
      address += static_cast<uint32_t>(jump - back);
      if (gives_up && last_pass) held = address;
    }
  }
}
