// SPDX-License-Identifier: MIT-0
// Convolution: PE sums of products, complete once every FY * FX * INNER steps, or of FY / TAPS * FX * INNER.
//
//     sum[oy,ox,k] = sum over fy,fx,c of weight[k,fy,fx,c] * x[oy*SY+fy-PT, ox*SX+fx-PL, g*C/G + c]
//
// with g the group of k; G groups, of which a word of LANES channels or PE sums never holds two where channels mix.
//
// in:     pixels of PIXEL_WORDS words, LANES channels each; zeros above channel C.
// weight: word (outer, row, fx, inner), lanes [pe][tap][simd], or [pe][tap] where channels do not mix; zeros above K and C.
//         Row and tap together are fy: TAPS is 1, or FY where a step takes all rows of the window at one column.
// sums:   for oy, ox, outer one word of PE sums. Bias and scaling are emit's.
// Cfg:    what line_buffer or row_buffer wants, and TAPS PE SUM_BITS WBITS WEIGHT_WORDS USE_DSP STEPS.
// Mirrors codesign/ops/conv.py.
#pragma once

#include "line_buffer.hpp"
#include "row_buffer.hpp"

// What replays the map, and where it keeps it.
template <class Cfg, bool ROWS>
struct replay {
  typedef line_buffer<Cfg> window;
  typedef in_lane<Cfg> memory[Cfg::BUFFER_WORDS][Cfg::LANES];
};
template <class Cfg>
struct replay<Cfg, true> {
  typedef row_buffer<Cfg> window;
  typedef typename row_buffer<Cfg>::memory_t memory;
};
template <class Cfg>
using window_of = typename replay<Cfg, (Cfg::TAPS > 1)>::window;
template <class Cfg>
using memory_of = typename replay<Cfg, (Cfg::TAPS > 1)>::memory;

// Products in DSPs or in LUTs.
template <bool DSP>
struct product {
  template <class Sum, class Weight, class Lane>
  static Sum of(const Weight& weight, const Lane& x) {
    HLS_INLINE
    const Sum result = weight * x;
    HLS_MULTIPLY_DSP(result)
    return result;
  }
};
template <>
struct product<false> {
  template <class Sum, class Weight, class Lane>
  static Sum of(const Weight& weight, const Lane& x) {
    HLS_INLINE
    const Sum result = weight * x;
    HLS_MULTIPLY_LUT(result)
    return result;
  }
};

// Channels mix: LANES input channels are reduced in parallel.
template <class Cfg>
void convolve(in_stream<Cfg>& in, sum_stream<Cfg>& sums,
              const typename number<Cfg::WBITS, true>::type (&weight)[Cfg::WEIGHT_WORDS][Cfg::PE * Cfg::TAPS * Cfg::LANES],
              memory_of<Cfg>& memory, uint32_t images) {
  HLS_INLINE
  constexpr int OPERANDS = Cfg::TAPS * Cfg::LANES;
  static_assert(Cfg::WEIGHT_WORDS == Cfg::PASSES * (Cfg::FY / Cfg::TAPS) * Cfg::FX * Cfg::PIXEL_WORDS, "one weight word per step");
  typedef typename sum<Cfg::SUM_BITS>::type sum_t;
  sum_t total[Cfg::PE] = {};
  HLS_REGISTERS(total)
  window_of<Cfg> window(images);
  int step = 0;
loop_reduce:
  while (window.busy()) {
    HLS_PIPELINE
    HLS_TRIPS(Cfg::STEPS)
    HLS_WRITTEN_BEFORE(memory, 3)
    in_lane<Cfg> x[OPERANDS];
    HLS_REGISTERS(x)
    if (window.step(in, memory, x)) {
    loop_pe:
      for (int p = 0; p < Cfg::PE; ++p) {
        HLS_UNROLL
        sum_t result = window.first() ? sum_t(0) : total[p];
      loop_simd:
        for (int s = 0; s < OPERANDS; ++s) {
          HLS_UNROLL
          result += product<Cfg::USE_DSP>::template of<sum_t>(weight[step][p * OPERANDS + s], x[s]);
        }
        total[p] = result;
      }
      if (window.last()) sums.write(pack<Cfg::SUM_BITS>(total));
      step = step == Cfg::WEIGHT_WORDS - 1 ? 0 : step + 1;
      window.advance();
    }
  }
}

// Channels mix, and two output channels share every product: (w1 * 2**FIELD + w0) * x holds both of theirs.
// Up to CHAIN of them add up before the low FIELD bits are split off, signed; the rest then lacks one where they are
// negative. The memory has what is left of w1 after w0 has borrowed, so the operand is wires. An unsigned x enters less
// half of its range, which the bias returns. See codesign/machine/packing.py.
// Cfg has CHAIN and FIELD as well.
template <class Cfg>
void convolve_packed(in_stream<Cfg>& in, sum_stream<Cfg>& sums,
                     const typename number<Cfg::WBITS, true>::type (&weight)[Cfg::WEIGHT_WORDS][Cfg::PE * Cfg::TAPS * Cfg::LANES],
                     memory_of<Cfg>& memory, uint32_t images) {
  HLS_INLINE
  constexpr int OPERANDS = Cfg::TAPS * Cfg::LANES;
  constexpr int CHAINS = (OPERANDS + Cfg::CHAIN - 1) / Cfg::CHAIN;
  constexpr int HALF = Cfg::ISIGNED ? 0 : 1 << (Cfg::IBITS - 1);
  constexpr int64_t FIELD_MASK = (int64_t(1) << Cfg::FIELD) - 1;
  static_assert(Cfg::WEIGHT_WORDS == Cfg::PASSES * (Cfg::FY / Cfg::TAPS) * Cfg::FX * Cfg::PIXEL_WORDS, "one weight word per step");
  static_assert(Cfg::PE % 2 == 0, "output channels come in pairs");
  typedef typename sum<Cfg::SUM_BITS>::type sum_t;
  typedef typename sum<Cfg::IBITS>::type lane_t;
  typedef typename sum<Cfg::FIELD + Cfg::WBITS>::type pair_t;
  typedef typename sum<Cfg::FIELD + Cfg::WBITS + Cfg::IBITS>::type product_t;
  typedef typename sum<Cfg::FIELD + Cfg::WBITS + Cfg::IBITS + 8>::type chain_t;  // up to 256 products
  sum_t total[Cfg::PE] = {};
  HLS_REGISTERS(total)
  window_of<Cfg> window(images);
  int step = 0;
loop_reduce:
  while (window.busy()) {
    HLS_PIPELINE
    HLS_TRIPS(Cfg::STEPS)
    HLS_WRITTEN_BEFORE(memory, 3)
    in_lane<Cfg> x[OPERANDS];
    HLS_REGISTERS(x)
    if (window.step(in, memory, x)) {
    loop_pair:
      for (int p = 0; p < Cfg::PE; p += 2) {
        HLS_UNROLL
        sum_t low = window.first() ? sum_t(0) : total[p];
        sum_t high = window.first() ? sum_t(0) : total[p + 1];
      loop_chain:
        for (int c = 0; c < CHAINS; ++c) {
          HLS_UNROLL
          chain_t chain = 0;
        loop_tap:
          for (int t = 0; t < Cfg::CHAIN; ++t) {
            HLS_UNROLL
            const int s = c * OPERANDS / CHAINS + t;
            if (s < (c + 1) * OPERANDS / CHAINS) {
              const pair_t under = weight[step][p * OPERANDS + s];
              const pair_t above = weight[step][(p + 1) * OPERANDS + s];
              const pair_t pair = shift_left(above, Cfg::FIELD) | (under & FIELD_MASK);
              const lane_t lane = x[s] - HALF;
              const product_t shared = full_product<product_t>(pair, lane);
              HLS_MULTIPLY_DSP(shared)
              chain += shared;
            }
          }
          const ap_int<Cfg::FIELD> field = chain;
          low += field;
          high += chain_t(chain >> Cfg::FIELD) + (field < 0 ? 1 : 0);
        }
        total[p] = low;
        total[p + 1] = high;
      }
      if (window.last()) sums.write(pack<Cfg::SUM_BITS>(total));
      step = step == Cfg::WEIGHT_WORDS - 1 ? 0 : step + 1;
      window.advance();
    }
  }
}

// Channels do not mix: PE = LANES channels in parallel, one filter each.
template <class Cfg>
void convolve_channelwise(in_stream<Cfg>& in, sum_stream<Cfg>& sums,
                          const typename number<Cfg::WBITS, true>::type (&weight)[Cfg::WEIGHT_WORDS][Cfg::PE * Cfg::TAPS],
                          memory_of<Cfg>& memory, uint32_t images) {
  HLS_INLINE
  static_assert(Cfg::PASSES == 1 && Cfg::INNER == 1 && Cfg::PE == Cfg::LANES, "one channel per lane");
  static_assert(Cfg::WEIGHT_WORDS == Cfg::FY / Cfg::TAPS * Cfg::FX * Cfg::PIXEL_WORDS, "one weight word per step");
  typedef typename sum<Cfg::SUM_BITS>::type sum_t;
  sum_t total[Cfg::PE] = {};
  HLS_REGISTERS(total)
  window_of<Cfg> window(images);
  int step = 0;
loop_reduce:
  while (window.busy()) {
    HLS_PIPELINE
    HLS_TRIPS(Cfg::STEPS)
    HLS_WRITTEN_BEFORE(memory, 3)
    in_lane<Cfg> x[Cfg::TAPS * Cfg::LANES];
    HLS_REGISTERS(x)
    if (window.step(in, memory, x)) {
    loop_pe:
      for (int p = 0; p < Cfg::PE; ++p) {
        HLS_UNROLL
        sum_t result = window.first() ? sum_t(0) : total[p];
      loop_tap:
        for (int f = 0; f < Cfg::TAPS; ++f) {
          HLS_UNROLL
          result += product<Cfg::USE_DSP>::template of<sum_t>(weight[step][p * Cfg::TAPS + f], x[f * Cfg::LANES + p]);
        }
        total[p] = result;
      }
      if (window.last()) sums.write(pack<Cfg::SUM_BITS>(total));
      step = step == Cfg::WEIGHT_WORDS - 1 ? 0 : step + 1;
      window.advance();
    }
  }
}
