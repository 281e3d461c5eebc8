// SPDX-License-Identifier: MIT-0
// Simulation only: shows the maps between the engines to whoever set `layer_tap`, without disturbing them.
#pragma once

#include "types.hpp"

#if defined(__SYNTHESIS__) || defined(__BAMBU__)

#define HLS_TAP(Cfg, name, stream, images)

#else

#include <vector>

// oy, ox, k: extents of one map; values: all images, HWC.
typedef void (*layer_tap_t)(const char* name, int oy, int ox, int k, const std::vector<int>& values);

template <class Cfg>
void tap(layer_tap_t show, const char* name, out_stream<Cfg>& stream, uint32_t images) {
  if (show == nullptr) return;
  std::vector<typename word<Cfg::OBITS, Cfg::EMIT>::type> words;
  std::vector<int> values;
  for (uint64_t pixel = 0; pixel < uint64_t(images) * Cfg::PIXELS; ++pixel) {
    for (int k = 0; k < Cfg::K; k += Cfg::EMIT) {
      words.push_back(stream.read());
      out_lane<Cfg> lane[Cfg::EMIT];
      unpack<Cfg::OBITS, Cfg::OSIGNED>(words.back(), lane);
      for (int e = 0; e < Cfg::EMIT && k + e < Cfg::K; ++e) values.push_back(static_cast<int>(lane[e]));
    }
  }
  for (size_t i = 0; i < words.size(); ++i) stream.write(words[i]);
  show(name, Cfg::OY, Cfg::OX, Cfg::K, values);
}

#define HLS_TAP(Cfg, name, stream, images) tap<Cfg>(layer_tap, name, stream, images);

#endif
