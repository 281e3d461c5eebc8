// SPDX-License-Identifier: MIT-0
// Sums to activations: bias, scaling, rounding, zero point, clamping; EMIT channels a cycle.
//
//     y = clamp(round((sum * 2**BIAS_FRACTION + bias) * multiplier / 2**SHIFT) + ZERO), LOWEST to HIGHEST
//
// ROUNDING: 0 to the nearest, of two the larger; 1 to the nearest, of two the even one; 2 down; 3 up.
//
// sums:       for every pixel ceil(K/PE) words of PE sums.
// out:        for every pixel OUT_PIXEL_WORDS = ceil(K/EMIT) words of EMIT channels; zeros above K.
// bias, multiplier: word (output word of the pixel), or one word for all; lanes [emit]. MULTIPLY: multipliers,
//             otherwise exponents of powers of two. COUNTED: a word of multipliers for each count of positions of a
//             window inside the map; then Cfg has what line_buffer wants.
// Cfg: PE EMIT K PIXELS (of an image) OUT_PIXEL_WORDS SUM_BITS BIAS_BITS BIAS_WORDS MULTIPLY MULTIPLIER_BITS
//      MULTIPLIER_WORDS COUNTED PRODUCT_BITS BIAS_FRACTION SHIFT ROUNDING ZERO LOWEST HIGHEST OBITS OSIGNED.
// Mirrors codesign/ops/requantize.py.
#pragma once

#include "types.hpp"

template <class Cfg>
inline out_lane<Cfg> requantize(typename sum<Cfg::PRODUCT_BITS>::type product) {
  HLS_INLINE
  typedef typename sum<Cfg::PRODUCT_BITS>::type product_t;
  static_assert(Cfg::PRODUCT_BITS <= 64 && Cfg::SHIFT < Cfg::PRODUCT_BITS, "the product and its half fit");
  const int64_t one = int64_t(1) << Cfg::SHIFT;
  const int64_t up = Cfg::ROUNDING == 2 ? 0 : Cfg::ROUNDING == 3 ? one - 1 : one >> 1;
  product_t raised = product;
  raised += up;
  product_t scaled = raised >> Cfg::SHIFT;
  const bool tie = Cfg::ROUNDING == 1 && Cfg::SHIFT > 0 && shift_left(scaled, Cfg::SHIFT) == raised;
  if (tie) scaled = shift_left(product_t(scaled >> 1), 1);
  scaled += Cfg::ZERO;
  const product_t clamped = scaled > Cfg::HIGHEST ? product_t(Cfg::HIGHEST)
                            : scaled < Cfg::LOWEST ? product_t(Cfg::LOWEST)
                                                   : scaled;
  return out_lane<Cfg>(clamped);
}

// Which word of multipliers the present output word takes.
template <class Cfg, bool COUNTED>
class multiplier_word {
 public:
  int at(int word) const {
    HLS_INLINE
    return Cfg::MULTIPLIER_WORDS == 1 ? 0 : word;
  }
  void next_pixel() { HLS_INLINE }
};
template <class Cfg>
class multiplier_word<Cfg, true> {
 public:
  multiplier_word() : oy_(0), ox_(0) {}
  int at(int) const {
    HLS_INLINE
    return inside(oy_ * Cfg::STRIDE_Y - Cfg::PAD_TOP, Cfg::FY, Cfg::DILATION_Y, Cfg::IY) *
           inside(ox_ * Cfg::STRIDE_X - Cfg::PAD_LEFT, Cfg::FX, Cfg::DILATION_X, Cfg::IX);
  }
  void next_pixel() {
    HLS_INLINE
    const bool row_done = ox_ == Cfg::OX - 1;
    if (row_done) oy_ = oy_ == Cfg::OY - 1 ? 0 : oy_ + 1;
    ox_ = row_done ? 0 : ox_ + 1;
  }

 private:
  static int inside(int start, int kernel, int dilation, int extent) {
    HLS_INLINE
    int count = 0;
  loop_positions:
    for (int i = 0; i < kernel; ++i) {
      HLS_UNROLL
      const int at = start + i * dilation;
      if (at >= 0 && at < extent) ++count;
    }
    return count;
  }

  int oy_, ox_;
};

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
  multiplier_word<Cfg, Cfg::COUNTED> factors;
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
      value = shift_left(value, Cfg::BIAS_FRACTION);
      value += bias[Cfg::BIAS_WORDS == 1 ? 0 : word][e];
      const typename number<Cfg::MULTIPLIER_BITS, false>::type factor =
          multiplier[factors.at(word)][e];
      const product_t product = Cfg::MULTIPLY ? product_t(value * factor) : shift_left(value, int(factor));
      const bool beyond = word == Cfg::OUT_PIXEL_WORDS - 1 && (Cfg::OUT_PIXEL_WORDS - 1) * Cfg::EMIT + e >= Cfg::K;
      y[e] = beyond ? out_lane<Cfg>(0) : requantize<Cfg>(product);
    }
    out.write(pack<Cfg::OBITS>(y));
    const bool pixel_done = word == Cfg::OUT_PIXEL_WORDS - 1;
    part = pixel_done || part == Cfg::PE / Cfg::EMIT - 1 ? 0 : part + 1;
    word = pixel_done ? 0 : word + 1;
    if (pixel_done) factors.next_pixel();
  }
}
