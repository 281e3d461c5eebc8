// SPDX-License-Identifier: MIT-0
// Maps side by side in channels: the words of each input's pixel in turn.
//
// ins: pixels; WORDS has the words of a pixel for each input. out: all words of a pixel, the first input's first.
// Cfg: PIXELS (of an image) OUT_PIXEL_WORDS (the sum of WORDS), OBITS EMIT.
// Mirrors codesign/ops/concat.py.
#pragma once

#include "types.hpp"

// The word at `index` of a pixel, from the input that has it.
template <int... WORDS>
struct turns;
template <int WORDS>
struct turns<WORDS> {
  static constexpr int TOTAL = WORDS;
  template <class Word>
  static Word read(int, hls::stream<Word>& in) {
    HLS_INLINE
    return in.read();
  }
};
template <int WORDS, int... OTHERS>
struct turns<WORDS, OTHERS...> {
  static constexpr int TOTAL = WORDS + turns<OTHERS...>::TOTAL;
  template <class Word, class... Streams>
  static Word read(int index, hls::stream<Word>& in, Streams&... others) {
    HLS_INLINE
    return index < WORDS ? in.read() : turns<OTHERS...>::read(index - WORDS, others...);
  }
};

template <class Cfg, int... WORDS, class... Streams>
void channel_mux(out_stream<Cfg>& out, uint32_t images, Streams&... ins) {
  HLS_INLINE
  static_assert(turns<WORDS...>::TOTAL == Cfg::OUT_PIXEL_WORDS, "all words of a pixel come from an input");
  int word = 0;  // of the pixel
loop_words:
  for (words_left<Cfg::PIXELS * Cfg::OUT_PIXEL_WORDS> left(images); left.any(); left.advance()) {
    HLS_PIPELINE
    HLS_TRIPS(Cfg::PIXELS * Cfg::OUT_PIXEL_WORDS)
    out.write(turns<WORDS...>::read(word, ins...));
    word = word == Cfg::OUT_PIXEL_WORDS - 1 ? 0 : word + 1;
  }
}
