// SPDX-License-Identifier: MIT-0
// Pooling of pixels that come in order: a running maximum or sum of every channel, PE = LANES channels in parallel.
//
// in:     pixels of PIXEL_WORDS words; as many pixels as a window has make one result of every word.
// sums:   for every result one word of PE results, as the last pixel's words come. An average's scaling is emit's.
// memory: results so far, by word of the pixel; up to two are registers instead.
// Cfg:    IY IX OY OX, LANES PIXEL_WORDS, BUFFER_WORDS = PIXEL_WORDS, IBITS ISIGNED, PE SUM_BITS MAXIMUM STEPS.
// Mirrors codesign/ops/pool.py.
#pragma once

#include "types.hpp"

template <class Cfg>
void running_pool(in_stream<Cfg>& in, sum_stream<Cfg>& sums,
                  sum_lane<Cfg> (&memory)[Cfg::BUFFER_WORDS][Cfg::LANES], uint32_t images) {
  HLS_INLINE
  static_assert(Cfg::PE == Cfg::LANES && Cfg::BUFFER_WORDS == Cfg::PIXEL_WORDS, "one channel per lane, one place a word");
  static_assert(Cfg::IY * Cfg::IX % (Cfg::OY * Cfg::OX) == 0, "windows share no pixel and leave none out");
  static constexpr int PIXELS = Cfg::IY * Cfg::IX / (Cfg::OY * Cfg::OX);
  static constexpr bool FEW = Cfg::PIXEL_WORDS < 3;  // a memory is read three iterations after it was written
  sum_lane<Cfg> latest[Cfg::PE] = {};
  sum_lane<Cfg> before[Cfg::PE] = {};  // the result of the word before the latest
  HLS_REGISTERS(latest)
  HLS_REGISTERS(before)
  int word = 0;   // of the pixel
  int pixel = 0;  // of the window
  words_left<Cfg::IY * Cfg::IX * Cfg::PIXEL_WORDS> left(images);
loop_reduce:
  while (left.any()) {
    HLS_PIPELINE
    HLS_TRIPS(Cfg::STEPS)
    HLS_WRITTEN_BEFORE(memory, 3)
    if (HLS_TAKE(in, true)) {
      in_lane<Cfg> x[Cfg::LANES];
      HLS_REGISTERS(x)
      unpack<Cfg::IBITS, Cfg::ISIGNED>(in.read(), x);
    loop_pe:
      for (int p = 0; p < Cfg::PE; ++p) {
        HLS_UNROLL
        const sum_lane<Cfg> value = x[p];
        const sum_lane<Cfg> so_far = !FEW ? memory[word][p] : Cfg::PIXEL_WORDS == 1 ? latest[p] : before[p];
        before[p] = latest[p];
        if (pixel == 0) {
          latest[p] = value;
        } else if (!Cfg::MAXIMUM) {
          latest[p] = so_far + value;
        } else {
          latest[p] = value > so_far ? value : so_far;
        }
        if (!FEW) memory[word][p] = latest[p];
      }
      if (pixel == PIXELS - 1) sums.write(pack<Cfg::SUM_BITS>(latest));
      const bool pixel_done = word == Cfg::PIXEL_WORDS - 1;
      word = pixel_done ? 0 : word + 1;
      if (pixel_done) pixel = pixel == PIXELS - 1 ? 0 : pixel + 1;
      left.advance();
    }
  }
}
