// SPDX-License-Identifier: MIT-0
// Small constant functions shared by all modules.
package codesign_pkg;

  // Bits of an unsigned counter that takes `count` values; at least one, so that a vector always exists.
  function automatic int counter_bits(int count);
    return (count <= 2) ? 1 : $clog2(count);
  endfunction

  function automatic int min(int a, int b);
    return (a < b) ? a : b;
  endfunction

  function automatic int max(int a, int b);
    return (a > b) ? a : b;
  endfunction

  function automatic int ceil_div(int a, int b);
    return (a + b - 1) / b;
  endfunction

  function automatic int gcd(int a, int b);
    int x = a;
    int y = b;
    while (y != 0) begin
      int r = x % y;
      x = y;
      y = r;
    end
    return x;
  endfunction

  // Whether no tap of an image's first window lies inside the map, along one side of it: Feed.waits in
  // codesign/machine/feeds.py.
  function automatic bit misses(int taps, int dilation, int pad, int extent);
    for (int tap = 0; tap < taps; tap++) if (tap * dilation >= pad && tap * dilation < pad + extent) return 0;
    return 1;
  endfunction

  // The first of `lanes` lanes in chain `index`, where `chains` chains are as long as each other or one lane shorter.
  function automatic int chain_begin(int index, int lanes, int chains);
    return (index * lanes) / chains;
  endfunction

  // Cycles of requantize.sv; Requantize.delay in codesign/machine/modules.py.
  function automatic int requantize_cycles(int scaling, int exponent_bits, bit cut, bit ties);
    return ((scaling == 2) ? 3 : 1 + (exponent_bits + 1) / 2) + int'(cut) + int'(ties) + 2;
  endfunction

  // Depth of the output queue of a module that makes a word a cycle, so many cycles after its step: output_depth there.
  function automatic int output_depth(int cycles);
    return 1 << $clog2(cycles + 3);
  endfunction

  // Whether a product of so many bits is made in a DSP: a narrower one would take about as many LUTs around it as without.
  function automatic bit in_dsp(bit use_dsp, int product_bits);
    return use_dsp && product_bits >= 9;
  endfunction

  // Cycles of a product that is cut: in LUTs two rows each, one row for every two bits of the weight.
  function automatic int multiply_stages(bit use_dsp, int product_bits, int w_bits);
    return in_dsp(use_dsp, product_bits) ? 1 : ceil_div((w_bits + 1) / 2, 2);
  endfunction

endpackage
