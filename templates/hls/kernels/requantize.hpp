// SPDX-License-Identifier: MIT-0
// Sums to activations: bias, scaling, rounding half up, clamping; EMIT channels a cycle.
//
//     y = clamp(floor((sum + bias) * multiplier / 2**SHIFT + 1/2))
//
// sums:       for every pixel ceil(K/PE) words of PE sums.
// out:        for every pixel OUT_PIXEL_WORDS = ceil(K/EMIT) words of EMIT channels; zeros above K.
// bias, multiplier: word (output word of the pixel), or one word for all; lanes [emit]. MULTIPLY: multipliers,
//             otherwise exponents of powers of two.
// Cfg: PE EMIT PIXELS (of an image) OUT_PIXEL_WORDS SUM_BITS BIAS_BITS BIAS_WORDS MULTIPLY MULTIPLIER_BITS
//      MULTIPLIER_WORDS PRODUCT_BITS SHIFT OBITS OSIGNED.
// Mirrors codesign/ops/requantize.py.
#pragma once

#include "types.hpp"

template <class Cfg>
inline out_lane<Cfg> requantize(typename sum<Cfg::PRODUCT_BITS>::type product) {
  HLS_INLINE
  typedef typename sum<Cfg::PRODUCT_BITS>::type product_t;
  static_assert(Cfg::PRODUCT_BITS <= 64 && Cfg::SHIFT < Cfg::PRODUCT_BITS, "the product and its half fit");
  const int64_t half = (int64_t(1) << Cfg::SHIFT) >> 1;
  const int64_t most = (int64_t(1) << (Cfg::OSIGNED ? Cfg::OBITS - 1 : Cfg::OBITS)) - 1;
  const int64_t least = Cfg::OSIGNED ? -most - 1 : 0;
  product_t rounded = product;
  rounded += half;
  const product_t scaled = rounded >> Cfg::SHIFT;
  const product_t clamped = scaled > most ? product_t(most) : scaled < least ? product_t(least) : scaled;
  return out_lane<Cfg>(clamped);
}

template <class Cfg>
void emit(sum_stream<Cfg>& sums, out_stream<Cfg>& out,
          const typename number<Cfg::BIAS_BITS, true>::type (&bias)[Cfg::BIAS_WORDS][Cfg::EMIT],
          const typename number<Cfg::MULTIPLIER_BITS, false>::type (&multiplier)[Cfg::MULTIPLIER_WORDS][Cfg::EMIT],
          uint32_t images) {
  HLS_INLINE
  static_assert(Cfg::PE % Cfg::EMIT == 0, "EMIT divides PE");
  typedef typename sum<Cfg::PRODUCT_BITS>::type product_t;
  typename sum<Cfg::SUM_BITS>::type total[Cfg::PE] = {};
  HLS_REGISTERS(total)
  int word = 0;  // of the pixel
  int part = 0;  // of the sums
loop_words:
  for (words_left<Cfg::PIXELS * Cfg::OUT_PIXEL_WORDS> left(images); left.any(); left.advance()) {
    HLS_PIPELINE
    HLS_TRIPS(Cfg::PIXELS * Cfg::OUT_PIXEL_WORDS)
    if (part == 0) unpack<Cfg::SUM_BITS, true>(sums.read(), total);
    out_lane<Cfg> y[Cfg::EMIT];
    HLS_REGISTERS(y)
  loop_emit:
    for (int e = 0; e < Cfg::EMIT; ++e) {
      HLS_UNROLL
      product_t value = total[part * Cfg::EMIT + e];
      value += bias[Cfg::BIAS_WORDS == 1 ? 0 : word][e];
      const typename number<Cfg::MULTIPLIER_BITS, false>::type factor =
          multiplier[Cfg::MULTIPLIER_WORDS == 1 ? 0 : word][e];
      const product_t product = Cfg::MULTIPLY ? product_t(value * factor) : shift_left(value, int(factor));
      y[e] = requantize<Cfg>(product);
    }
    out.write(pack<Cfg::OBITS>(y));
    const bool pixel_done = word == Cfg::OUT_PIXEL_WORDS - 1;
    part = pixel_done || part == Cfg::PE / Cfg::EMIT - 1 ? 0 : part + 1;
    word = pixel_done ? 0 : word + 1;
  }
}
