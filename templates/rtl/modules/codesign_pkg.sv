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

  // Whether a product of so many bits is made in a DSP: a narrower one would take about as many LUTs around it as without.
  function automatic bit in_dsp(bit use_dsp, int product_bits);
    return use_dsp && product_bits >= 9;
  endfunction

  // Cycles of a product that is cut: in LUTs two rows each, one row for every two bits of the weight.
  function automatic int multiply_stages(bit use_dsp, int product_bits, int w_bits);
    return in_dsp(use_dsp, product_bits) ? 1 : ceil_div((w_bits + 1) / 2, 2);
  endfunction

endpackage
