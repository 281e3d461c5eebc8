// SPDX-License-Identifier: MIT-0
// AXI-Stream beats with side channels for C simulation without a vendor's headers: what the movers use of ap_axiu.
// Never on the include path of a synthesis run.
#pragma once

#include <ap_int.h>

template <int W, int, int, int>
struct ap_axiu {
  ap_uint<W> data;
  ap_uint<W / 8> keep;
  ap_uint<W / 8> strb;
  ap_uint<1> last;
};
