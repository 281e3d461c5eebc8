// SPDX-License-Identifier: MIT-0
// The AXI-Streams at both ends. An image's elements lie densely in HWC order: one in each container of CONTAINER bits,
// LANES in a word. The last word of an image is padded with zeros. On the way out it is marked `last`.
// Cfg: BITS SIGNED CONTAINER LANES WORDS (of an image) TAIL (elements in the last word).
#pragma once

#include "types.hpp"

#if defined(__VITIS_HLS__)
#include <ap_axi_sdata.h>
template <int WIDTH>
struct axis_word {
  typedef ap_axiu<WIDTH, 0, 0, 0> type;
};
#else
template <int WIDTH>
struct axis_beat {
  ap_uint<WIDTH> data;
  ap_uint<WIDTH / 8> keep;
  ap_uint<1> last;
};
template <int WIDTH>
struct axis_word {
  typedef axis_beat<WIDTH> type;
};
#endif

template <class Cfg>
void read_axis(hls::stream<typename axis_word<Cfg::LANES * Cfg::CONTAINER>::type>& in,
               hls::stream<typename word<Cfg::BITS, Cfg::LANES>::type>& out, uint32_t images) {
  HLS_INLINE_OFF
loop_words:
  for (words_left<Cfg::WORDS> left(images); left.any(); left.advance()) {
    HLS_PIPELINE
    HLS_TRIPS(Cfg::WORDS)
    typename number<Cfg::CONTAINER, Cfg::SIGNED>::type container[Cfg::LANES];
    HLS_REGISTERS(container)
    unpack<Cfg::CONTAINER, Cfg::SIGNED>(in.read().data, container);
  loop_lanes:
    for (int i = 0; i < Cfg::LANES; ++i) {
      HLS_UNROLL
      // What lies behind the image's end is not ours to trust.
      if (left.last() && i >= Cfg::TAIL) container[i] = 0;
    }
    out.write(pack<Cfg::BITS>(container));
  }
}

template <class Cfg>
void write_axis(hls::stream<typename word<Cfg::BITS, Cfg::LANES>::type>& in,
                hls::stream<typename axis_word<Cfg::LANES * Cfg::CONTAINER>::type>& out, uint32_t images) {
  HLS_INLINE_OFF
  constexpr int BYTES = Cfg::CONTAINER / 8;
loop_words:
  for (words_left<Cfg::WORDS> left(images); left.any(); left.advance()) {
    HLS_PIPELINE
    HLS_TRIPS(Cfg::WORDS)
    const bool last = left.last();
    typename number<Cfg::BITS, Cfg::SIGNED>::type element[Cfg::LANES];
    HLS_REGISTERS(element)
    unpack<Cfg::BITS, Cfg::SIGNED>(in.read(), element);
    int keep[Cfg::LANES * BYTES];
    HLS_REGISTERS(keep)
  loop_keep:
    for (int i = 0; i < Cfg::LANES * BYTES; ++i) {
      HLS_UNROLL
      keep[i] = last && i >= Cfg::TAIL * BYTES ? 0 : 1;
    }
    typename axis_word<Cfg::LANES * Cfg::CONTAINER>::type beat;
    beat.data = pack<Cfg::CONTAINER>(element);
    beat.keep = pack<1>(keep);
#if defined(__VITIS_HLS__)
    beat.strb = beat.keep;
#endif
    beat.last = last;
    out.write(beat);
  }
}
