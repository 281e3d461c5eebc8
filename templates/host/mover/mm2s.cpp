// SPDX-License-Identifier: MIT-0
// Mover from memory to the accelerator's input stream, a kernel that XRT manages. It sends source[images * words] word
// by word, with TLAST at the end of each image. The stream is as wide as the memory port, so that a word moves every
// cycle.

#include "mover.hpp"

extern "C" void mm2s(const in_word_t* source, hls::stream<in_beat_t>& stream_out, unsigned words, unsigned images) {
#pragma HLS INTERFACE m_axi port=source offset=slave bundle=gmem depth=1024
#pragma HLS INTERFACE axis port=stream_out
#pragma HLS INTERFACE s_axilite port=source
#pragma HLS INTERFACE s_axilite port=words
#pragma HLS INTERFACE s_axilite port=images
#pragma HLS INTERFACE s_axilite port=return
  const unsigned long long total = static_cast<unsigned long long>(words) * images;
  unsigned word = 0;
loop_word:
  for (unsigned long long i = 0; i < total; ++i) {
#pragma HLS PIPELINE II=1
    in_beat_t beat;
    beat.data = source[i];
    beat.keep = -1;
    beat.strb = -1;
    beat.last = word + 1 == words;
    stream_out.write(beat);
    word = word + 1 == words ? 0 : word + 1;
  }
}
