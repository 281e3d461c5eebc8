// SPDX-License-Identifier: MIT-0
// Elementwise sum of two maps of one shape, PE channels in parallel: sum = a * A_MULTIPLIER + b * B_MULTIPLIER.
//
// a, b, sums: pixels in words of PE channels. Rounding and clamping are emit's.
// Cfg: WORDS (of an image), PE ABITS ASIGNED BBITS BSIGNED A_MULTIPLIER B_MULTIPLIER SUM_BITS.
// Mirrors codesign/ops/add.py.
#pragma once

#include "types.hpp"

template <class Cfg>
void add(a_stream<Cfg>& a, b_stream<Cfg>& b, sum_stream<Cfg>& sums, uint32_t images) {
  HLS_INLINE
  typedef typename sum<Cfg::SUM_BITS>::type sum_t;
loop_words:
  for (words_left<Cfg::WORDS> left(images); left.any(); left.advance()) {
    HLS_PIPELINE
    HLS_TRIPS(Cfg::WORDS)
    typename number<Cfg::ABITS, Cfg::ASIGNED>::type x[Cfg::PE];
    HLS_REGISTERS(x)
    typename number<Cfg::BBITS, Cfg::BSIGNED>::type y[Cfg::PE];
    HLS_REGISTERS(y)
    sum_t total[Cfg::PE];
    HLS_REGISTERS(total)
    unpack<Cfg::ABITS, Cfg::ASIGNED>(a.read(), x);
    unpack<Cfg::BBITS, Cfg::BSIGNED>(b.read(), y);
  loop_pe:
    for (int p = 0; p < Cfg::PE; ++p) {
      HLS_UNROLL
      total[p] = x[p] * Cfg::A_MULTIPLIER + y[p] * Cfg::B_MULTIPLIER;
    }
    sums.write(pack<Cfg::SUM_BITS>(total));
  }
}
