// SPDX-License-Identifier: MIT-0
// A map times a gate, PE = EMIT channels in parallel: y = clamp(round(a * b * multiplier / 2**SHIFT)).
//
// a, out: pixels of OUT_PIXEL_WORDS words. b: as many, or with REPEAT > 1 one pixel an image, of FOLD words, which is kept.
// SCALING 0: the multiplier is 1. 1: it is 2**MULTIPLIER. 2: it is MULTIPLIER. Rounding and clamping are requantize's.
// Cfg: FOLD REPEAT A_BITS A_SIGNED B_BITS B_SIGNED SCALING MULTIPLIER SUM_BITS SHIFT USE_DSP, PIXELS (of an image)
//      OUT_PIXEL_WORDS OBITS OSIGNED EMIT.
// Mirrors codesign/ops/gate.py.
#pragma once

#include "requantize.hpp"

template <class Cfg>
struct gate_cfg : Cfg {
  static constexpr int PRODUCT_BITS = (Cfg::SUM_BITS > Cfg::SHIFT ? Cfg::SUM_BITS : Cfg::SHIFT) + 2;
  static constexpr int ROUNDING = 0, ZERO = 0;  // halves up
  static constexpr int HIGHEST = (1 << (Cfg::OSIGNED ? Cfg::OBITS - 1 : Cfg::OBITS)) - 1;
  static constexpr int LOWEST = Cfg::OSIGNED ? -HIGHEST - 1 : 0;
};

template <class Cfg, class A, class B>
void gate(out_stream<Cfg>& out, uint32_t images, hls::stream<A>& a, hls::stream<B>& b) {
  HLS_INLINE
  typedef typename sum<gate_cfg<Cfg>::PRODUCT_BITS>::type product_t;
  B kept[Cfg::FOLD];
  HLS_REGISTERS(kept)
  int word = 0;   // of the pixel
  int pixel = 0;  // of those that share a pixel of the gate
loop_words:
  for (words_left<Cfg::PIXELS * Cfg::OUT_PIXEL_WORDS> left(images); left.any(); left.advance()) {
    HLS_PIPELINE
    HLS_TRIPS(Cfg::PIXELS * Cfg::OUT_PIXEL_WORDS)
    typename number<Cfg::A_BITS, Cfg::A_SIGNED>::type x[Cfg::EMIT];
    HLS_REGISTERS(x)
    typename number<Cfg::B_BITS, Cfg::B_SIGNED>::type factor[Cfg::EMIT];
    HLS_REGISTERS(factor)
    out_lane<Cfg> y[Cfg::EMIT];
    HLS_REGISTERS(y)
    unpack<Cfg::A_BITS, Cfg::A_SIGNED>(a.read(), x);
    if (pixel == 0) kept[word] = b.read();
    unpack<Cfg::B_BITS, Cfg::B_SIGNED>(kept[word], factor);
  loop_lanes:
    for (int p = 0; p < Cfg::EMIT; ++p) {
      HLS_UNROLL
      const product_t product = product_t(x[p]) * factor[p];
      const product_t scaled = Cfg::SCALING == 2 ? product_t(product * Cfg::MULTIPLIER)
                                                 : shift_left(product, Cfg::SCALING == 1 ? Cfg::MULTIPLIER : 0);
      y[p] = requantize<gate_cfg<Cfg> >(scaled);
    }
    out.write(pack<Cfg::OBITS>(y));
    const bool last = word == Cfg::FOLD - 1;
    if (last) pixel = pixel == Cfg::REPEAT - 1 ? 0 : pixel + 1;
    word = last ? 0 : word + 1;
  }
}
