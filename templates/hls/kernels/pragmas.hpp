// SPDX-License-Identifier: MIT-0
// The directives of the kernels. Each is a macro, so that every compiler sees only what it understands. The vendors'
// synthesis sees the pragmas, any other compiler nothing. A macro stands directly under the loop or the declaration
// that it governs.
#pragma once

#if defined(__SYNTHESIS__) && !defined(__BAMBU__)
#define CODESIGN_VENDOR 1
#endif

#if defined(CODESIGN_VENDOR)
#define CODESIGN_PRAGMA(text) _Pragma(#text)
#else
#define CODESIGN_PRAGMA(text)
#endif

// Loops.
#define HLS_PIPELINE CODESIGN_PRAGMA(HLS PIPELINE II=1)
#define HLS_UNROLL CODESIGN_PRAGMA(HLS UNROLL)
#define HLS_TRIPS(count) CODESIGN_PRAGMA(HLS LOOP_TRIPCOUNT min=count max=count)

// Functions.
#define HLS_DATAFLOW CODESIGN_PRAGMA(HLS DATAFLOW)
#define HLS_INLINE CODESIGN_PRAGMA(HLS INLINE)
#define HLS_INLINE_OFF CODESIGN_PRAGMA(HLS INLINE off)

// Storage. A word of lanes is one memory word; registers are apart.
#define HLS_STREAM(name, words) CODESIGN_PRAGMA(HLS STREAM variable=name depth=words)
#define HLS_LANES(name) CODESIGN_PRAGMA(HLS ARRAY_RESHAPE variable=name complete dim=2)
#define HLS_BANKS(name) CODESIGN_PRAGMA(HLS ARRAY_PARTITION variable=name complete dim=2)
#define HLS_ROWS(name) \
  CODESIGN_PRAGMA(HLS ARRAY_PARTITION variable=name complete dim=1) \
  CODESIGN_PRAGMA(HLS ARRAY_RESHAPE variable=name complete dim=3)
#define HLS_REGISTERS(name) CODESIGN_PRAGMA(HLS ARRAY_PARTITION variable=name complete dim=1)
#define HLS_WRITTEN_BEFORE(name, iterations) \
  CODESIGN_PRAGMA(HLS DEPENDENCE variable=name inter RAW distance=iterations true)

#if defined(__VITIS_HLS__)
#define HLS_ROM_LUT(name) CODESIGN_PRAGMA(HLS BIND_STORAGE variable=name type=rom_1p impl=lutram)
#define HLS_ROM_BRAM(name) CODESIGN_PRAGMA(HLS BIND_STORAGE variable=name type=rom_1p impl=bram)
#define HLS_RAM_LUT(name) CODESIGN_PRAGMA(HLS BIND_STORAGE variable=name type=ram_s2p impl=lutram)
#define HLS_RAM_BRAM(name) CODESIGN_PRAGMA(HLS BIND_STORAGE variable=name type=ram_s2p impl=bram)
#define HLS_MULTIPLY_LUT(name) CODESIGN_PRAGMA(HLS BIND_OP variable=name op=mul impl=fabric)
#define HLS_MULTIPLY_DSP(name) CODESIGN_PRAGMA(HLS BIND_OP variable=name op=mul impl=dsp)
#else
#define HLS_ROM_LUT(name) CODESIGN_PRAGMA(HLS RESOURCE variable=name core=ROM_1P_LUTRAM)
#define HLS_ROM_BRAM(name) CODESIGN_PRAGMA(HLS RESOURCE variable=name core=ROM_1P_BRAM)
#define HLS_RAM_LUT(name) CODESIGN_PRAGMA(HLS RESOURCE variable=name core=RAM_2P_LUTRAM)
#define HLS_RAM_BRAM(name) CODESIGN_PRAGMA(HLS RESOURCE variable=name core=RAM_2P_BRAM)
#define HLS_MULTIPLY_LUT(name) CODESIGN_PRAGMA(HLS RESOURCE variable=name core=Mul_LUT)
#define HLS_MULTIPLY_DSP(name) CODESIGN_PRAGMA(HLS RESOURCE variable=name core=DSP48)
#endif

// Ports of the top function.
#define HLS_PORT_AXIS(name) CODESIGN_PRAGMA(HLS INTERFACE axis port=name)
#define HLS_PORT_REGISTER(name, address) \
  CODESIGN_PRAGMA(HLS INTERFACE s_axilite port=name bundle=control offset=address)
#define HLS_PORT_CONTROL \
  CODESIGN_PRAGMA(HLS INTERFACE s_axilite port=return bundle=control) \
  CODESIGN_PRAGMA(HLS INTERFACE ap_ctrl_hs port=return)

// Whether to take a word now. Vendors' pipelines must never stop inside an iteration, or words in flight would stop
// too. So they take a word if there is one, and iterate again. Elsewhere the kernel waits for a word that it needs now.
#if defined(CODESIGN_VENDOR)
#define HLS_TAKE(stream, needed) (static_cast<void>(needed), !(stream).empty())
#elif defined(__BAMBU__)
#define HLS_TAKE(stream, needed) (needed)
#else
#define HLS_TAKE(stream, needed) ((needed) || !(stream).empty())
#endif
