// SPDX-License-Identifier: MIT-0
// Reads a map word by word and replays a column of the window in a step. A step is FY words, for oy, ox, group, pass,
// fx, inner.
//
// Groups and passes are those of line_buffer.hpp. BANKS memories of a row each make one circular memory. It takes the
// rows of all images in turn, so that all rows of a window are read at once, at one address. `taken` words have
// arrived, those before `held` are no longer needed. A step runs as soon as its word in the lowest row inside the map
// is there. A word is read three iterations after it was taken at the earliest, as in line_buffer.hpp.
//
// Cfg: IY IX OY OX FY FX STRIDE_Y STRIDE_X DILATION_X PAD_TOP PAD_LEFT, LANES PIXEL_WORDS INNER PASSES, TAPS (all of FY),
//      BANKS, IBITS ISIGNED, FILL (the value of positions outside the map).
#pragma once

#include "types.hpp"

template <class Cfg>
class row_buffer {
 public:
  typedef in_lane<Cfg> lane;
  static constexpr int ROW = Cfg::IX * Cfg::PIXEL_WORDS;
  typedef lane memory_t[Cfg::BANKS][ROW][Cfg::LANES];

  static_assert(Cfg::TAPS == Cfg::FY && Cfg::DILATION_Y == 1, "a step takes all rows of the window, which are neighbours");
  static_assert(Cfg::PAD_TOP < Cfg::FY && Cfg::PIXEL_WORDS % Cfg::INNER == 0, "windows meet the map; groups are equal");

  explicit row_buffer(uint32_t images)
      : supply_(images), windows_(images), taken_(0), seen_(0), arrived_(0), ripe_(0), base_(0), held_(0),
        low_(lowest(-Cfg::PAD_TOP)), write_bank_(0), write_column_(0), bank_(FIRST_BANK),
        column_(-Cfg::PAD_LEFT * Cfg::PIXEL_WORDS), oy_(0), ox_(0), group_(0), pass_(0), fx_(0), inner_(0),
        iy_(-Cfg::PAD_TOP), ix_(-Cfg::PAD_LEFT) {}

  // Whether words or windows are left.
  bool busy() const {
    HLS_INLINE
    return windows_.any() || supply_.any();
  }

  // Whether the present step begins, or ends, the window of one pass.
  bool first() const {
    HLS_INLINE
    return fx_ == 0 && inner_ == 0;
  }
  bool last() const {
    HLS_INLINE
    return fx_ == Cfg::FX - 1 && inner_ == Cfg::INNER - 1;
  }

  // Take a word if there is one and room for it. True if the present step's words are there: x then holds them, the top
  // row's first.
  bool step(in_stream<Cfg>& in, memory_t& memory, lane (&x)[Cfg::TAPS * Cfg::LANES]) {
    HLS_INLINE
    const bool inside = ix_ >= 0 && ix_ < Cfg::IX;
    const uint32_t need = low_ + static_cast<uint32_t>(column_);
    const bool ready = windows_.any() && (!inside || distance(need, ripe_) > 0);
    const bool starved = !windows_.any() || (inside && distance(need, taken_) <= 0);
    ripe_ = arrived_;
    arrived_ = seen_;
    if (supply_.any() && distance(held_, taken_) < Cfg::BANKS * ROW && HLS_TAKE(in, starved)) put(in, memory);
    seen_ = taken_;
    lane word[Cfg::BANKS][Cfg::LANES];
    HLS_REGISTERS(word)
    const int place = inside ? column_ : 0;
  loop_banks:
    for (int b = 0; b < Cfg::BANKS; ++b) {
      HLS_UNROLL
    loop_words:
      for (int i = 0; i < Cfg::LANES; ++i) {
        HLS_UNROLL
        word[b][i] = memory[b][place][i];
      }
    }
  loop_taps:
    for (int f = 0; f < Cfg::TAPS; ++f) {
      HLS_UNROLL
      const int bank = onward(bank_, f % Cfg::BANKS);
      const bool real = inside && iy_ + f >= 0 && iy_ + f < Cfg::IY;
    loop_lanes:
      for (int i = 0; i < Cfg::LANES; ++i) {
        HLS_UNROLL
        x[f * Cfg::LANES + i] = real ? word[bank][i] : lane(Cfg::FILL);
      }
    }
    return ready;
  }

  // Go to the next step.
  void advance() {
    HLS_INLINE
    if (++inner_ < Cfg::INNER) {
      ++column_;
      return;
    }
    inner_ = 0;
    if (++fx_ < Cfg::FX) {
      ix_ += Cfg::DILATION_X;
      column_ += NEXT_COLUMN;
      return;
    }
    fx_ = 0;
    ix_ -= (Cfg::FX - 1) * Cfg::DILATION_X;
    if (++pass_ == Cfg::PASSES) {
      pass_ = 0;
      group_ += Cfg::INNER;
    }
    if (group_ == Cfg::PIXEL_WORDS) {
      group_ = 0;
      next_window();
    }
    column_ = ix_ * Cfg::PIXEL_WORDS + group_;
  }

 private:
  static constexpr int IMAGE = Cfg::IY * ROW;
  static constexpr int WINDOWS = Cfg::OY * Cfg::OX;
  static constexpr int NEXT_COLUMN = Cfg::DILATION_X * Cfg::PIXEL_WORDS - (Cfg::INNER - 1);
  // The bank of a window's top row: at first, and how far it moves on to the next row of windows and the next image.
  static constexpr int FIRST_BANK = Cfg::PAD_TOP * (Cfg::BANKS - 1) % Cfg::BANKS;
  static constexpr int NEXT_BANK = Cfg::STRIDE_Y % Cfg::BANKS;
  static constexpr int NEXT_IMAGE = (Cfg::IY + (Cfg::OY - 1) * Cfg::STRIDE_Y % Cfg::BANKS * (Cfg::BANKS - 1)) % Cfg::BANKS;

  static int32_t distance(uint32_t from, uint32_t to) {
    HLS_INLINE
    return static_cast<int32_t>(to - from);
  }

  static int onward(int bank, int rows) {
    HLS_INLINE
    return bank + rows < Cfg::BANKS ? bank + rows : bank + rows - Cfg::BANKS;
  }

  // The first word of the lowest row inside the map of windows that begin in row `top`.
  static uint32_t lowest(int top) {
    HLS_INLINE
    const int row = top + Cfg::FY - 1;
    return static_cast<uint32_t>((row < Cfg::IY ? row : Cfg::IY - 1) * ROW);
  }

  void put(in_stream<Cfg>& in, memory_t& memory) {
    HLS_INLINE
    lane fresh[Cfg::LANES];
    HLS_REGISTERS(fresh)
    unpack<Cfg::IBITS, Cfg::ISIGNED>(in.read(), fresh);
  loop_write_banks:
    for (int b = 0; b < Cfg::BANKS; ++b) {
      HLS_UNROLL
      if (b == write_bank_) {
      loop_write:
        for (int i = 0; i < Cfg::LANES; ++i) {
          HLS_UNROLL
          memory[b][write_column_][i] = fresh[i];
        }
      }
    }
    supply_.advance();
    ++taken_;
    if (++write_column_ == ROW) {
      write_column_ = 0;
      write_bank_ = onward(write_bank_, 1 % Cfg::BANKS);
    }
  }

  void next_window() {
    HLS_INLINE
    windows_.advance();
    if (++ox_ < Cfg::OX) {
      ix_ += Cfg::STRIDE_X;
    } else {
      ox_ = 0;
      ix_ = -Cfg::PAD_LEFT;
      if (++oy_ < Cfg::OY) {
        iy_ += Cfg::STRIDE_Y;
        bank_ = onward(bank_, NEXT_BANK);
      } else {
        oy_ = 0;
        iy_ = -Cfg::PAD_TOP;
        base_ += IMAGE;
        bank_ = onward(bank_, NEXT_IMAGE);
      }
      low_ = base_ + lowest(iy_);
    }
    held_ = base_ + oldest();
  }

  // The oldest word of the image that this window or a later one needs, as in line_buffer.hpp.
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
  uint32_t base_, held_;  // first word of the present image, oldest word still needed
  uint32_t low_;          // first word of the window's lowest row inside the map
  int write_bank_, write_column_;
  int bank_, column_;  // of the window's top row and of the present step; outside the map never read
  int oy_, ox_, group_, pass_, fx_, inner_;  // group_: its first word in a pixel
  int iy_, ix_;  // row of the window's top, column of the present step
};
