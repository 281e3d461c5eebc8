"""The control block of the SystemVerilog alone: its registers, and cycle counters beyond 32 bits."""

import subprocess
from pathlib import Path

import pytest

from codesign.data import folder
from codesign.emit.registers import REGISTERS, SPELLING_RTL

HASH = 0x0123456789ABCDEF

# One word in and one out per image; prints `name value` for every register, before the start and after the last word.
BENCH = """
#include <cstdint>
#include <cstdio>
#include "Vaccel_control.h"
#include "Vaccel_control___024root.h"

static Vaccel_control top;
static void tick() { top.clk_i = 0; top.eval(); top.clk_i = 1; top.eval(); }
static void write(uint32_t address, uint32_t value) {
  top.awaddr_i = address; top.wdata_i = value; top.awvalid_i = top.wvalid_i = top.bready_i = 1;
  tick();
  top.awvalid_i = top.wvalid_i = 0;
  tick();
}
static uint32_t read(uint32_t address) {
  top.araddr_i = address; top.arvalid_i = top.rready_i = 1;
  tick();
  top.arvalid_i = 0; top.eval();
  while (!top.rvalid_o) tick();
  const uint32_t value = top.rdata_o;
  tick();
  return value;
}
static void beats(bool in, bool out) {
  top.in_beat_i = in; top.out_beat_i = out;
  tick();
  top.in_beat_i = top.out_beat_i = 0;
}
static void show(const char* when) {
%(reads)s
}
int main() {
  top.rst_ni = 0; tick(); tick(); top.rst_ni = 1; tick();
  show("before");
  write(0x00, 1); std::printf("empty busy %%u\\n", top.open_o);
  write(0x10, 2); write(0x00, 1);
  beats(true, false);
  tick();  // counts are one cycle late
  top.rootp->accel_control__DOT__u_cycle__DOT__count_q = %(jump)s;
  for (int i = 0; i < 8; ++i) tick();
  beats(true, true);
  for (int i = 0; i < 10; ++i) tick();
  beats(false, true);
  tick();
  show("after");
  show("later");
}
"""


@pytest.mark.verilator
def test_cycles_are_counted_beyond_32_bits_and_stand_still_after_done(tmp_path: Path) -> None:
    reads = [f'  std::printf("%s {r.name} %u\\n", when, read({r.offset}));' for r in REGISTERS]
    jump = (1 << 32) - 5
    (tmp_path / "tb.cpp").write_text(BENCH % {"reads": "\n".join(reads), "jump": f"{jump}ull"})
    modules = folder("templates") / "rtl" / "modules"
    argv = ["verilator", "--cc", "--exe", "--build", "--public-flat-rw", "-Wall", "--top-module", "accel_control"]
    argv += ["-MAKEFLAGS", "OPT_FAST=-O0 OPT_GLOBAL=-O0 OPT_SLOW=-O0"]
    argv += [f"-GDESIGN_HASH=64'h{HASH:016x}", "--Mdir", "build", str(modules / "codesign_pkg.sv")]
    argv += ["-y", str(modules), str(modules / "accel_control.sv"), "tb.cpp"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    text = subprocess.run(["build/Vaccel_control"], cwd=tmp_path, capture_output=True, text=True, timeout=60).stdout
    found = {tuple(line.split()[:2]): int(line.split()[2]) for line in text.splitlines()}
    assert found["before", "hash_hi"] << 32 | found["before", "hash_lo"] == HASH
    assert found["before", "spelling"] == SPELLING_RTL
    assert found["empty", "busy"] == 0
    assert (found["after", "ctrl"], found["later", "ctrl"]) == (0b110, 0b100), "done is cleared by reading"
    # The last word of the first image comes 9 cycles after the jump, that of the second 11 after it.
    for when in ("after", "later"):
        assert found[when, "first_out_cycles_hi"] << 32 | found[when, "first_out_cycles_lo"] == jump + 9
        assert found[when, "cycles_hi"] << 32 | found[when, "cycles_lo"] == jump + 9 + 11
        assert (found[when, "beats_in"], found[when, "beats_out"], found[when, "images_out"]) == (2, 2, 2)
