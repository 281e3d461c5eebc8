// SPDX-License-Identifier: MIT-0
// Replaces every value by its entry of a table: PE = EMIT lanes, each with its own column.
//
// in, out: pixels in words of EMIT channels. The row of the table is the value's bits. Where the FOLD words of a pixel
// have separate tables, the number of the word stands above these bits.
// Cfg: FOLD IN_BITS, PIXELS (of an image) OUT_PIXEL_WORDS OBITS OSIGNED EMIT.
// Mirrors codesign/ops/lookup.py.
#pragma once

#include "types.hpp"

template <class Cfg, class Word>
void lookup(out_stream<Cfg>& out, const out_lane<Cfg> (&table)[Cfg::FOLD << Cfg::IN_BITS][Cfg::EMIT], uint32_t images,
            hls::stream<Word>& in) {
  HLS_INLINE
  int word = 0;  // of the pixel
loop_words:
  for (words_left<Cfg::PIXELS * Cfg::OUT_PIXEL_WORDS> left(images); left.any(); left.advance()) {
    HLS_PIPELINE
    HLS_TRIPS(Cfg::PIXELS * Cfg::OUT_PIXEL_WORDS)
    typename number<Cfg::IN_BITS, false>::type x[Cfg::EMIT];
    HLS_REGISTERS(x)
    out_lane<Cfg> y[Cfg::EMIT];
    HLS_REGISTERS(y)
    unpack<Cfg::IN_BITS, false>(in.read(), x);
  loop_lanes:
    for (int p = 0; p < Cfg::EMIT; ++p) {
      HLS_UNROLL
      y[p] = table[(word << Cfg::IN_BITS) + static_cast<int>(x[p])][p];
    }
    out.write(pack<Cfg::OBITS>(y));
    word = word == Cfg::FOLD - 1 ? 0 : word + 1;
  }
}
