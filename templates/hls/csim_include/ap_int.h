// SPDX-License-Identifier: MIT-0
// Integers of any width for C simulation without a vendor's headers: the part of ap_int and ap_uint that the kernels
// use, and fast. Up to 64 bits a native integer, above that an array of 64-bit limbs (unsigned only).
// Never on the include path of a synthesis run.
#pragma once

#include <stdint.h>
#include <string.h>

#define CODESIGN_SIMULATION_TYPES 1  // has get_lanes and set_lanes

#ifndef AP_INT_MAX_W
#define AP_INT_MAX_W 1024  // as the vendors' headers have it
#endif
#if AP_INT_MAX_W > 4096
#error "AP_INT_MAX_W: Vitis HLS takes at most 4096"
#endif

namespace simulation {

template <int SIZE, bool SIGNED>
struct storage {
  typedef int64_t type;
};
template <>
struct storage<8, false> {
  typedef uint64_t type;
};
template <>
struct storage<4, true> {
  typedef int32_t type;
};
template <>
struct storage<4, false> {
  typedef uint32_t type;
};
template <>
struct storage<2, true> {
  typedef int16_t type;
};
template <>
struct storage<2, false> {
  typedef uint16_t type;
};
template <>
struct storage<1, true> {
  typedef int8_t type;
};
template <>
struct storage<1, false> {
  typedef uint8_t type;
};

// The value of the low W bits.
template <int W, bool SIGNED>
inline int64_t wrap(uint64_t bits) {
  const int up = 64 - W;
  return SIGNED ? static_cast<int64_t>(bits << up) >> up : static_cast<int64_t>((bits << up) >> up);
}

// The unsigned integer of BITS <= 64 bits at bit `low` of the limbs.
template <int BITS>
inline uint64_t get_bits(const uint64_t* limb, int low) {
  const int at = low / 64, shift = low % 64;
  uint64_t bits = limb[at] >> shift;
  if (shift + BITS > 64) bits |= limb[at + 1] << (64 - shift);
  return bits;
}

// Store BITS <= 64 bits at bit `low`, where the limbs still hold zeros.
template <int BITS>
inline void set_bits(uint64_t* limb, int low, uint64_t bits) {
  const int at = low / 64, shift = low % 64;
  bits = static_cast<uint64_t>(wrap<BITS, false>(bits));
  limb[at] |= bits << shift;
  if (shift + BITS > 64) limb[at + 1] |= bits >> (64 - shift);
}

template <int BITS, bool SIGNED, int LANES, class T>
inline void get_lanes(const uint64_t* limb, T (&lane)[LANES]) {
  for (int i = 0; i < LANES; ++i) lane[i] = static_cast<T>(wrap<BITS, SIGNED>(get_bits<BITS>(limb, i * BITS)));
}

template <int BITS, int LANES, class T>
inline void set_lanes(uint64_t* limb, const T (&lane)[LANES]) {
  for (int i = 0; i < LANES; ++i) set_bits<BITS>(limb, i * BITS, static_cast<uint64_t>(static_cast<int64_t>(lane[i])));
}

template <int W, bool SIGNED, bool WIDE>
class integer;

// Up to 64 bits: converts to a native integer, which does the arithmetic; wraps on assignment.
template <int W, bool SIGNED>
class integer<W, SIGNED, false> {
 public:
  static_assert(W >= 1 && W <= AP_INT_MAX_W, "an integer has 1 to AP_INT_MAX_W bits");
  typedef typename storage<(W <= 8 ? 1 : W <= 16 ? 2 : W <= 32 ? 4 : 8), SIGNED>::type native;

  integer() : value_(0) {}
  template <class T>
  integer(const T& value)  // NOLINT: implicit, as the vendors' is
      : value_(static_cast<native>(wrap<W, SIGNED>(static_cast<uint64_t>(value)))) {}

  operator native() const { return value_; }
  int to_int() const { return static_cast<int>(value_); }
  unsigned to_uint() const { return static_cast<unsigned>(value_); }
  int64_t to_int64() const { return static_cast<int64_t>(value_); }
  uint64_t to_uint64() const { return static_cast<uint64_t>(value_); }

  template <class T>
  integer& operator+=(const T& other) {
    return *this = integer(static_cast<int64_t>(value_) + static_cast<int64_t>(other));
  }
  template <class T>
  integer& operator|=(const T& other) {
    value_ = static_cast<native>(value_ | static_cast<native>(other));
    return *this;
  }
  integer operator<<(int by) const { return by >= W ? integer(0) : integer(static_cast<uint64_t>(value_) << by); }
  integer operator>>(int by) const { return by >= W ? integer(value_ < 0 ? -1 : 0) : integer(value_ >> by); }
  integer& operator>>=(int by) { return *this = *this >> by; }
  uint64_t range(int high, int low) const {
    const uint64_t bits = static_cast<uint64_t>(value_) >> low;
    return high - low == 63 ? bits : bits & ((uint64_t(1) << (high - low + 1)) - 1);
  }

  template <int BITS, bool LANE_SIGNED, int LANES, class T>
  void get_lanes(T (&lane)[LANES]) const {
    const uint64_t limb = static_cast<uint64_t>(value_);
    for (int i = 0; i < LANES; ++i) lane[i] = static_cast<T>(wrap<BITS, LANE_SIGNED>(limb >> (i * BITS)));
  }
  template <int BITS, int LANES, class T>
  void set_lanes(const T (&lane)[LANES]) {
    uint64_t limb = 0;
    simulation::set_lanes<BITS>(&limb, lane);
    value_ = static_cast<native>(limb);
  }

 private:
  native value_;
};

// A product has the bits of both factors, as the vendors' has; of more than 64 it has the lowest 64.
template <int A, bool A_SIGNED, int B, bool B_SIGNED>
inline integer<(A + B < 64 ? A + B : 64), A_SIGNED || B_SIGNED, false> operator*(
    const integer<A, A_SIGNED, false>& a, const integer<B, B_SIGNED, false>& b) {
  return static_cast<uint64_t>(a.to_int64()) * static_cast<uint64_t>(b.to_int64());
}

// More than 64 bits, unsigned; the bits above W are zero.
template <int W>
class integer<W, false, true> {
 public:
  static_assert(W <= AP_INT_MAX_W, "an integer has 1 to AP_INT_MAX_W bits");
  static constexpr int LIMBS = (W + 63) / 64;

  integer() { clear(); }
  integer(int value) {  // NOLINT: implicit, as the vendors' is
    clear();
    limb_[0] = static_cast<uint64_t>(static_cast<unsigned>(value));
  }
  explicit integer(uint64_t value) {
    clear();
    limb_[0] = value;
  }
  template <int V, bool SIGNED>
  explicit integer(const integer<V, SIGNED, false>& other) {
    static_assert(!SIGNED, "only unsigned words");
    clear();
    limb_[0] = other.to_uint64();
  }
  template <int V>
  explicit integer(const integer<V, false, true>& other) {
    clear();
    for (int i = 0; i < LIMBS && i < integer<V, false, true>::LIMBS; ++i) limb_[i] = other.limb(i);
    trim();
  }

  explicit operator uint64_t() const { return limb_[0]; }
  uint64_t limb(int i) const { return limb_[i]; }
  uint64_t to_uint64() const { return limb_[0]; }

  integer& operator|=(const integer& other) {
    for (int i = 0; i < LIMBS; ++i) limb_[i] |= other.limb_[i];
    return *this;
  }
  integer operator<<(int by) const {
    integer result;
    const int whole = by / 64, part = by % 64;
    for (int i = LIMBS - 1; i >= whole; --i) {
      result.limb_[i] = limb_[i - whole] << part;
      if (part != 0 && i > whole) result.limb_[i] |= limb_[i - whole - 1] >> (64 - part);
    }
    result.trim();
    return result;
  }
  integer operator>>(int by) const {
    integer result;
    const int whole = by / 64, part = by % 64;
    for (int i = 0; i + whole < LIMBS; ++i) {
      result.limb_[i] = limb_[i + whole] >> part;
      if (part != 0 && i + whole + 1 < LIMBS) result.limb_[i] |= limb_[i + whole + 1] << (64 - part);
    }
    return result;
  }
  integer& operator>>=(int by) { return *this = *this >> by; }
  bool operator==(const integer& other) const { return memcmp(limb_, other.limb_, sizeof limb_) == 0; }
  bool operator!=(const integer& other) const { return !(*this == other); }

  template <int BITS, bool LANE_SIGNED, int LANES, class T>
  void get_lanes(T (&lane)[LANES]) const {
    simulation::get_lanes<BITS, LANE_SIGNED>(limb_, lane);
  }
  template <int BITS, int LANES, class T>
  void set_lanes(const T (&lane)[LANES]) {
    simulation::set_lanes<BITS>(limb_, lane);
  }

 private:
  void clear() { memset(limb_, 0, sizeof limb_); }
  void trim() {
    if (W % 64 != 0) limb_[LIMBS - 1] &= (uint64_t(1) << (W % 64)) - 1;
  }

  uint64_t limb_[LIMBS];
};

}  // namespace simulation

template <int W>
using ap_int = simulation::integer<W, true, (W > 64)>;
template <int W>
using ap_uint = simulation::integer<W, false, (W > 64)>;
