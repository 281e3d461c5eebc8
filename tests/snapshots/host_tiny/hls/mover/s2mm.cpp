// SPDX-License-Identifier: MIT-0
// Mover from the accelerator's output stream to memory, a kernel that XRT manages. It takes exactly images * words
// words, whatever TLAST says. status[0] counts the words with a wrong TLAST: only the last word of an image has it.

#include "mover.hpp"

extern "C" void s2mm(hls::stream<out_beat_t>& stream_in, out_word_t* sink, unsigned* status,
                     unsigned words, unsigned images) {
#pragma HLS INTERFACE axis port=stream_in
#pragma HLS INTERFACE m_axi port=sink offset=slave bundle=gmem depth=1024
#pragma HLS INTERFACE m_axi port=status offset=slave bundle=gmem_status depth=1
#pragma HLS INTERFACE s_axilite port=sink
#pragma HLS INTERFACE s_axilite port=status
#pragma HLS INTERFACE s_axilite port=words
#pragma HLS INTERFACE s_axilite port=images
#pragma HLS INTERFACE s_axilite port=return
  const unsigned long long total = static_cast<unsigned long long>(words) * images;
  unsigned word = 0;
  unsigned misplaced = 0;
loop_word:
  for (unsigned long long i = 0; i < total; ++i) {
#pragma HLS PIPELINE II=1
    const out_beat_t beat = stream_in.read();
    const bool is_last = word + 1 == words;
    sink[i] = beat.data;
    misplaced += (beat.last != 0) != is_last ? 1 : 0;
    word = is_last ? 0 : word + 1;
  }
  status[0] = misplaced;
}
