// SPDX-License-Identifier: MIT-0
// Reads a map word by word and replays it window by window, for oy, ox, group, pass, fy, fx, inner.
//
// A pixel is PIXEL_WORDS words of LANES channels, INNER in each group. Every one of PASSES walks its group's words at
// each window position. Channels that all mix are one group (INNER = PIXEL_WORDS); channels that do not are groups of
// one word and one pass.
// The memory is circular; addresses count words from the start, modulo 2**32. `taken` words have arrived, those before
// `held` are no longer needed. A step runs as soon as its own word is there. STREAMING: every word is used once and in
// order, and the memory is not used. A word is read at the earliest three iterations after it was taken. This leaves
// room for the memory's own pipeline.
//
// Cfg: IY IX OY OX FY FX STRIDE_Y STRIDE_X DILATION_Y DILATION_X PAD_TOP PAD_LEFT, LANES PIXEL_WORDS INNER PASSES STREAMING,
//      BUFFER_WORDS (a power of two), IBITS ISIGNED, FILL (the value of positions outside the map).
#pragma once

#include "types.hpp"

template <class Cfg>
class line_buffer {
 public:
  typedef in_lane<Cfg> lane;

  // Rows and columns from the first position of a window to the last.
  static constexpr int SPAN_Y = (Cfg::FY - 1) * Cfg::DILATION_Y + 1;
  static constexpr int SPAN_X = (Cfg::FX - 1) * Cfg::DILATION_X + 1;

  static_assert((Cfg::BUFFER_WORDS & (Cfg::BUFFER_WORDS - 1)) == 0, "BUFFER_WORDS is a power of two");
  static_assert(Cfg::PAD_TOP < SPAN_Y && Cfg::PAD_LEFT < SPAN_X, "padding is smaller than the window");
  static_assert(Cfg::PIXEL_WORDS % Cfg::INNER == 0, "groups are equal");

  explicit line_buffer(uint32_t images)
      : supply_(images), windows_(images), taken_(0), seen_(0), arrived_(0), ripe_(0), base_(0),
        held_(0), origin_(START), address_(START), oy_(0), ox_(0), group_(0), pass_(0), fy_(0), fx_(0), inner_(0),
        iy_(-Cfg::PAD_TOP), ix_(-Cfg::PAD_LEFT) {}

  // Whether words or windows are left.
  bool busy() const {
    HLS_INLINE
    return windows_.any() || supply_.any();
  }

  // Whether the present step begins, or ends, the window of one pass.
  bool first() const {
    HLS_INLINE
    return fy_ == 0 && fx_ == 0 && inner_ == 0;
  }
  bool last() const {
    HLS_INLINE
    return fy_ == Cfg::FY - 1 && fx_ == Cfg::FX - 1 && inner_ == Cfg::INNER - 1;
  }

  // Take a word if there is one and room for it. True if the present step's word is there: x then holds it.
  bool step(in_stream<Cfg>& in, lane (&memory)[Cfg::BUFFER_WORDS][Cfg::LANES], lane (&x)[Cfg::LANES]) {
    HLS_INLINE
    return Cfg::STREAMING ? pass(in, x) : replay(in, memory, x);
  }

  // Go to the next step.
  void advance() {
    HLS_INLINE
    if (++inner_ < Cfg::INNER) {
      ++address_;
      return;
    }
    inner_ = 0;
    if (++fx_ < Cfg::FX) {
      ix_ += Cfg::DILATION_X;
      address_ += NEXT_COLUMN;
      return;
    }
    fx_ = 0;
    ix_ -= SPAN_X - 1;
    if (++fy_ < Cfg::FY) {
      iy_ += Cfg::DILATION_Y;
      address_ += NEXT_ROW;
      return;
    }
    fy_ = 0;
    iy_ -= SPAN_Y - 1;
    if (++pass_ == Cfg::PASSES) {
      pass_ = 0;
      group_ += Cfg::INNER;
    }
    if (group_ < Cfg::PIXEL_WORDS) {
      address_ = origin_ + static_cast<uint32_t>(group_);
      return;
    }
    group_ = 0;
    next_window();
  }

 private:
  static constexpr int ROW = Cfg::IX * Cfg::PIXEL_WORDS;
  static constexpr int IMAGE = Cfg::IY * ROW;
  static constexpr int WINDOWS = Cfg::OY * Cfg::OX;
  static constexpr int NEXT_COLUMN = Cfg::DILATION_X * Cfg::PIXEL_WORDS - (Cfg::INNER - 1);
  static constexpr int NEXT_ROW = Cfg::DILATION_Y * ROW - (SPAN_X - 1) * Cfg::PIXEL_WORDS - (Cfg::INNER - 1);
  static constexpr uint32_t START = static_cast<uint32_t>(-(Cfg::PAD_TOP * ROW + Cfg::PAD_LEFT * Cfg::PIXEL_WORDS));

  static int32_t distance(uint32_t from, uint32_t to) {
    HLS_INLINE
    return static_cast<int32_t>(to - from);
  }

  bool replay(in_stream<Cfg>& in, lane (&memory)[Cfg::BUFFER_WORDS][Cfg::LANES], lane (&x)[Cfg::LANES]) {
    HLS_INLINE
    const bool inside = iy_ >= 0 && iy_ < Cfg::IY && ix_ >= 0 && ix_ < Cfg::IX;
    const bool ready = windows_.any() && (!inside || distance(address_, ripe_) > 0);
    const bool starved = !windows_.any() || (inside && distance(address_, taken_) <= 0);
    ripe_ = arrived_;
    arrived_ = seen_;
    if (supply_.any() && distance(held_, taken_) < Cfg::BUFFER_WORDS && HLS_TAKE(in, starved)) {
      unpack<Cfg::IBITS, Cfg::ISIGNED>(in.read(), memory[taken_ % Cfg::BUFFER_WORDS]);
      supply_.advance();
      ++taken_;
    }
    seen_ = taken_;
  loop_lanes:
    for (int i = 0; i < Cfg::LANES; ++i) {
      HLS_UNROLL
      x[i] = inside ? memory[address_ % Cfg::BUFFER_WORDS][i] : lane(Cfg::FILL);
    }
    return ready;
  }

  bool pass(in_stream<Cfg>& in, lane (&x)[Cfg::LANES]) {
    HLS_INLINE
    if (!HLS_TAKE(in, true)) return false;
    unpack<Cfg::IBITS, Cfg::ISIGNED>(in.read(), x);
    supply_.advance();
    return true;
  }

  void next_window() {
    HLS_INLINE
    windows_.advance();
    if (++ox_ < Cfg::OX) {
      ix_ += Cfg::STRIDE_X;
      origin_ += Cfg::STRIDE_X * Cfg::PIXEL_WORDS;
    } else {
      ox_ = 0;
      ix_ = -Cfg::PAD_LEFT;
      if (++oy_ < Cfg::OY) {
        iy_ += Cfg::STRIDE_Y;
      } else {
        oy_ = 0;
        iy_ = -Cfg::PAD_TOP;
        base_ += IMAGE;
      }
      origin_ = base_ + static_cast<uint32_t>(iy_ * ROW - Cfg::PAD_LEFT * Cfg::PIXEL_WORDS);
    }
    address_ = origin_;
    held_ = base_ + oldest();
  }

  // The oldest word of the image that this window or a later one needs. It is this window's first word. While the next
  // row of windows also begins at the start of the map, it is that start.
  uint32_t oldest() const {
    HLS_INLINE
    const int row = iy_ > 0 ? iy_ * ROW : 0;
    const bool moves_on = oy_ == Cfg::OY - 1 || (oy_ + 1) * Cfg::STRIDE_Y > Cfg::PAD_TOP;
    return static_cast<uint32_t>(row + (moves_on && ix_ > 0 ? ix_ * Cfg::PIXEL_WORDS : 0));
  }

  words_left<IMAGE> supply_;     // words that will come
  words_left<WINDOWS> windows_;  // windows left
  uint32_t taken_;               // words taken; seen_, arrived_ and ripe_ follow, one iteration apart
  uint32_t seen_, arrived_, ripe_;
  uint32_t base_, held_;       // first word of the present image, oldest word still needed
  uint32_t origin_, address_;  // of the present window and of the present step; in the padding never read
  int oy_, ox_, group_, pass_, fy_, fx_, inner_;  // group_: its first word in a pixel
  int iy_, ix_;  // row and column of the present step
};
