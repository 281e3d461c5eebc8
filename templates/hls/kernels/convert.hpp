// SPDX-License-Identifier: MIT-0
// Streams between engines: fork, and conversion between words of different width.
#pragma once

#include "types.hpp"

// Every word to both outputs.
template <class Word, int WORDS>
void fork_words(hls::stream<Word>& in, hls::stream<Word>& a, hls::stream<Word>& b, uint32_t images) {
  HLS_INLINE_OFF
loop_words:
  for (words_left<WORDS> left(images); left.any(); left.advance()) {
    HLS_PIPELINE
    HLS_TRIPS(WORDS)
    const Word word = in.read();
    a.write(word);
    b.write(word);
  }
}

constexpr int greatest_common_divisor(int a, int b) { return b == 0 ? a : greatest_common_divisor(b, a % b); }

template <int KEEP, int BITS>
inline ap_uint<BITS> keep_low(const ap_uint<BITS>& value) {
  HLS_INLINE
  return ap_uint<BITS>(value << (BITS - KEEP)) >> (BITS - KEEP);
}

// Words of IN_LANES elements to words of OUT_LANES, a word a cycle on the wider side. An input packet holds IN_PACKET
// elements, an output packet OUT_PACKET; both pad only their last word, with zeros.
// Cfg: BITS IN_LANES OUT_LANES IN_PACKET OUT_PACKET OUT_WORDS (of an image).
template <class Cfg>
void convert_words(hls::stream<typename word<Cfg::BITS, Cfg::IN_LANES>::type>& in,
             hls::stream<typename word<Cfg::BITS, Cfg::OUT_LANES>::type>& out, uint32_t images) {
  HLS_INLINE_OFF
  // Elements come and go in units; with fewer of them the shifter is smaller.
  constexpr int UNIT = greatest_common_divisor(greatest_common_divisor(Cfg::IN_LANES, Cfg::OUT_LANES),
                                               greatest_common_divisor(Cfg::IN_PACKET, Cfg::OUT_PACKET));
  constexpr int UNIT_BITS = UNIT * Cfg::BITS;
  constexpr int IN = Cfg::IN_LANES / UNIT, OUT = Cfg::OUT_LANES / UNIT;
  constexpr int IN_PACKET = Cfg::IN_PACKET / UNIT, OUT_PACKET = Cfg::OUT_PACKET / UNIT;
  constexpr int OUT_TAIL = OUT_PACKET % OUT == 0 ? OUT : OUT_PACKET % OUT;
  typedef ap_uint<(IN + OUT) * UNIT_BITS> hold_t;
  typedef ap_uint<OUT * UNIT_BITS> out_t;
  hold_t hold = 0;
  int level = 0;
  int in_left = IN_PACKET, out_left = OUT_PACKET;
  words_left<Cfg::OUT_WORDS> left(images);
loop_convert:
  while (left.any()) {
    HLS_PIPELINE
    HLS_TRIPS(Cfg::OUT_WORDS)
    const int wanted = out_left < OUT ? out_left : OUT;
    if (level < wanted) {
      const int fresh = in_left < IN ? in_left : IN;
      hold |= hold_t(in.read()) << (level * UNIT_BITS);
      level += fresh;
      in_left = in_left == fresh ? IN_PACKET : in_left - fresh;
    }
    if (level >= wanted) {
      const out_t full = out_t(hold);
      out.write(wanted == OUT ? full : keep_low<OUT_TAIL * UNIT_BITS, OUT * UNIT_BITS>(full));
      hold = hold >> (wanted * UNIT_BITS);
      level -= wanted;
      out_left = out_left == wanted ? OUT_PACKET : out_left - wanted;
      left.advance();
    }
  }
}
