// SPDX-License-Identifier: MIT-0
// Integers of the kernels, and words of lanes.
//
// Storage has its exact width under synthesis. Simulation computes the same values in native integers, a hundred times
// faster. With CODESIGN_EXACT defined it uses the exact widths too; this proves that they suffice.
// A word holds LANES integers of BITS bits, lane 0 in the lowest bits.
#pragma once

#ifndef AP_INT_MAX_W
#define AP_INT_MAX_W 4096  // the most that Vitis HLS takes
#endif

#include <ap_int.h>
#include <hls_stream.h>
#include <stdint.h>

#include "pragmas.hpp"

#if (defined(__SYNTHESIS__) || defined(__BAMBU__)) && !defined(CODESIGN_EXACT)
#define CODESIGN_EXACT 1
#endif

template <int BITS, bool SIGNED>
struct exact {
  typedef ap_int<BITS> type;
};
template <int BITS>
struct exact<BITS, false> {
  typedef ap_uint<BITS> type;
};

// The signed native integer of so many bytes.
template <int BYTES>
struct native;
template <>
struct native<2> {
  typedef int16_t type;
};
template <>
struct native<4> {
  typedef int32_t type;
};
template <>
struct native<8> {
  typedef int64_t type;
};

// number<BITS, SIGNED>::type: what is stored. sum<BITS>::type: what is added up in, signed. Products of 16-bit integers
// are what vector instructions add up fastest, so native numbers are no smaller.
#if defined(CODESIGN_EXACT)
template <int BITS, bool SIGNED>
struct number : exact<BITS, SIGNED> {};
template <int BITS>
struct sum : exact<BITS, true> {};
#else
template <int BITS, bool SIGNED>
struct number : native<(BITS + !SIGNED <= 16 ? 2 : BITS + !SIGNED <= 32 ? 4 : 8)> {};
template <int BITS>
struct sum : native<(BITS <= 32 ? 4 : 8)> {};
#endif

// value * 2**by, which for native integers must not shift a sign out.
#if defined(CODESIGN_EXACT)
template <class T>
inline T shift_left(const T& value, int by) {
  HLS_INLINE
  return T(value << by);
}
#else
inline int32_t shift_left(int32_t value, int by) { return static_cast<int32_t>(static_cast<uint32_t>(value) << by); }
inline int64_t shift_left(int64_t value, int by) { return static_cast<int64_t>(static_cast<uint64_t>(value) << by); }
#endif

// A product in all of its bits, of operands that keep their widths: a DSP has ports of such widths.
#if defined(CODESIGN_EXACT)
template <class Product, class A, class B>
inline Product full_product(const A& a, const B& b) {
  HLS_INLINE
  return a * b;
}
#else
template <class Product, class A, class B>
inline Product full_product(const A& a, const B& b) {
  return static_cast<Product>(a) * b;
}
#endif

template <int BITS, int LANES>
struct word {
  static_assert(BITS * LANES <= AP_INT_MAX_W, "a word is wider than the integer library allows");
  typedef ap_uint<BITS * LANES> type;
};

// Lanes of a word, as numbers.
template <int BITS, bool SIGNED, int LANES, class T>
inline void unpack(const ap_uint<BITS * LANES>& from, T (&lane)[LANES]) {
  HLS_INLINE
#if defined(CODESIGN_SIMULATION_TYPES)
  from.template get_lanes<BITS, SIGNED>(lane);
#else
loop_unpack:
  for (int i = 0; i < LANES; ++i) {
    HLS_UNROLL
    const typename exact<BITS, SIGNED>::type value = from.range((i + 1) * BITS - 1, i * BITS);
    lane[i] = value;
  }
#endif
}

// The word of these lanes; each is cut to BITS bits.
template <int BITS, int LANES, class T>
inline ap_uint<BITS * LANES> pack(const T (&lane)[LANES]) {
  HLS_INLINE
  ap_uint<BITS * LANES> to = 0;
#if defined(CODESIGN_SIMULATION_TYPES)
  to.template set_lanes<BITS>(lane);
#else
loop_pack:
  for (int i = 0; i < LANES; ++i) {
    HLS_UNROLL
    const ap_uint<BITS> value = lane[i];
    to |= ap_uint<BITS * LANES>(value) << (i * BITS);
  }
#endif
  return to;
}

// Where the stream of so many images stands, WORDS words each. Their product may exceed 32 bits, so it is never taken.
template <int WORDS>
class words_left {
 public:
  explicit words_left(uint32_t images) : images_(images), word_(0) {}

  bool any() const {
    HLS_INLINE
    return images_ != 0;
  }
  // The present word of its image, and whether it is the image's last.
  int word() const {
    HLS_INLINE
    return word_;
  }
  bool last() const {
    HLS_INLINE
    return word_ == WORDS - 1;
  }
  void advance() {
    HLS_INLINE
    if (last()) --images_;
    word_ = last() ? 0 : word_ + 1;
  }

 private:
  uint32_t images_;
  int word_;
};

// Streams and lanes of an engine, by its Cfg.
template <class Cfg>
using in_lane = typename number<Cfg::IBITS, Cfg::ISIGNED>::type;
template <class Cfg>
using sum_lane = typename sum<Cfg::SUM_BITS>::type;
template <class Cfg>
using out_lane = typename number<Cfg::OBITS, Cfg::OSIGNED>::type;
template <class Cfg>
using in_stream = hls::stream<typename word<Cfg::IBITS, Cfg::LANES>::type>;
template <class Cfg>
using a_stream = hls::stream<typename word<Cfg::ABITS, Cfg::PE>::type>;
template <class Cfg>
using b_stream = hls::stream<typename word<Cfg::BBITS, Cfg::PE>::type>;
template <class Cfg>
using sum_stream = hls::stream<typename word<Cfg::SUM_BITS, Cfg::PE>::type>;
template <class Cfg>
using out_stream = hls::stream<typename word<Cfg::OBITS, Cfg::EMIT>::type>;
