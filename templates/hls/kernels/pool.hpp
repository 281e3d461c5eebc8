// SPDX-License-Identifier: MIT-0
// Pooling: the maximum or the sum over each window, PE = LANES channels in parallel.
//
// in:   pixels of PIXEL_WORDS words; positions outside the map are FILL, the least value for a maximum.
// sums: for oy, ox, outer one word of PE results. An average's scaling is emit's.
// Cfg:  what line_buffer wants, and PE SUM_BITS MAXIMUM STEPS.
// Mirrors codesign/ops/pool.py.
#pragma once

#include "line_buffer.hpp"

template <class Cfg>
void pool(in_stream<Cfg>& in, sum_stream<Cfg>& sums, in_lane<Cfg> (&memory)[Cfg::BUFFER_WORDS][Cfg::LANES],
          uint32_t images) {
  HLS_INLINE
  static_assert(Cfg::PASSES == 1 && Cfg::INNER == 1 && Cfg::PE == Cfg::LANES, "one channel per lane");
  typedef typename sum<Cfg::SUM_BITS>::type sum_t;
  sum_t total[Cfg::PE] = {};
  HLS_REGISTERS(total)
  line_buffer<Cfg> window(images);
loop_reduce:
  while (window.busy()) {
    HLS_PIPELINE
    HLS_TRIPS(Cfg::STEPS)
    HLS_WRITTEN_BEFORE(memory, 3)
    in_lane<Cfg> x[Cfg::LANES];
    HLS_REGISTERS(x)
    if (window.step(in, memory, x)) {
    loop_pe:
      for (int p = 0; p < Cfg::PE; ++p) {
        HLS_UNROLL
        const sum_t value = x[p];
        if (window.first()) {
          total[p] = value;
        } else if (!Cfg::MAXIMUM) {
          total[p] += value;
        } else if (value > total[p]) {
          total[p] = value;
        }
      }
      if (window.last()) sums.write(pack<Cfg::SUM_BITS>(total));
      window.advance();
    }
  }
}
