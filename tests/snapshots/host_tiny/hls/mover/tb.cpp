// SPDX-License-Identifier: MIT-0
// C simulation of the movers. Every word arrives in order, and TLAST stands at the end of each image and nowhere else.
// s2mm counts a missing TLAST and a superfluous one. Returns the number of failed checks.

#include <cstdio>
#include <vector>

#include "mover.hpp"

namespace {

constexpr unsigned words = 5, images = 3;
int failures = 0;

void check(bool good, const char* what) {
  if (good) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

void check_mm2s() {
  std::vector<in_word_t> source(words * images);
  for (unsigned i = 0; i < source.size(); ++i) source[i] = int(3 * i + 1);
  hls::stream<in_beat_t> stream;
  mm2s(source.data(), stream, words, images);
  for (unsigned i = 0; i < source.size(); ++i) {
    if (stream.empty()) return check(false, "mm2s: the stream is short");
    const in_beat_t beat = stream.read();
    check(beat.data == source[i], "mm2s: data");
    check((beat.last != 0) == (i % words == words - 1), "mm2s: TLAST");
  }
  check(stream.empty(), "mm2s: the stream is long");
}

// What a receiving mover counts of two images whose words have TLAST at two places.
template <class Beat, class Word>
unsigned misplaced(void (*mover)(hls::stream<Beat>&, Word*, unsigned*, unsigned, unsigned), unsigned first_last,
                   unsigned second_last) {
  hls::stream<Beat> stream;
  for (unsigned i = 0; i < 2 * words; ++i) {
    Beat beat;
    beat.data = int(7 * i + 2);
    beat.keep = -1;
    beat.strb = -1;
    beat.last = i == first_last || i == second_last;
    stream.write(beat);
  }
  std::vector<Word> sink(2 * words + 1, Word(0));
  unsigned status = 99;
  mover(stream, sink.data(), &status, words, 2);
  for (unsigned i = 0; i < 2 * words; ++i) check(sink[i] == Word(int(7 * i + 2)), "s2mm: data");
  check(sink[2 * words] == Word(0), "s2mm: wrote beyond the end");
  check(stream.empty(), "s2mm: left words behind");
  return status;
}

}  // namespace

int main() {
  check_mm2s();
  check(misplaced(s2mm, words - 1, 2 * words - 1) == 0, "s2mm: counts good packets");
  check(misplaced(s2mm, words - 1, words - 1) == 1, "s2mm: missing TLAST");
  check(misplaced(s2mm, words, 2 * words - 1) == 2, "s2mm: late TLAST");
  if (failures == 0) std::printf("movers: all checks passed\n");
  return failures;
}
