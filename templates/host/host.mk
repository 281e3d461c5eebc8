# SPDX-License-Identifier: MIT-0
# Builds the XRT host program. XILINX_XRT: installation folder of XRT; empty where it lies in the system's folders.
comma := ,
XILINX_XRT ?=
CXX ?= g++
CXXFLAGS ?= -O2
XRT_INCLUDE := $(if $(XILINX_XRT),-isystem $(XILINX_XRT)/include,-isystem /usr/include/xrt)
XRT_LIBRARY := $(if $(XILINX_XRT),-L$(XILINX_XRT)/lib -Wl$(comma)-rpath$(comma)$(XILINX_XRT)/lib)

host: host.cpp accel_params.hpp
	$(CXX) -std=c++17 -Wall -Wextra -Werror $(CXXFLAGS) $(XRT_INCLUDE) -o $@ $< $(XRT_LIBRARY) -lxrt_coreutil -pthread

.PHONY: clean
clean:
	rm -f host
