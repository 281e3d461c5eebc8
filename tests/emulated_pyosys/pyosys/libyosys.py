"""A design with two engines. A file in the folder EMULATED_PYOSYS says what becomes of the synthesis of a part."""

import os
import signal
import time
from pathlib import Path


class Module:
    """A module without cells and wires."""

    def __init__(self, name: str) -> None:
        self.name, self.cells_, self.wires_ = name, {}, {}


class Design:
    """Knows the passes that cost something, and the one that writes counts."""

    def __init__(self) -> None:
        names = ("accel", "pool_engine$accel.u_engine_conv", "pool_engine$accel.u_engine_pool")
        self.modules_ = {name: Module(name) for name in names}

    def run_pass(self, line: str) -> None:
        """One LUT a part; a part whose name a file has meets what the file says. NAME.content is what a part holds."""
        words = line.split()
        folder = Path(os.environ["EMULATED_PYOSYS"])
        if words[0] == "synth_xilinx":
            fate = folder / words[words.index("-top") + 1].rpartition(".")[2]
            what = fate.read_text() if fate.exists() else ""
            with (folder / "begun").open("a") as begun:
                begun.write(f"{fate.name} {os.getpid()}\n")
            if what == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            elif what == "hungry":
                bytearray(1 << 44)
            elif what == "fails once":
                fate.write_text("")
                raise MemoryError
            elif what == "endless":
                time.sleep(300)
        elif words[0] == "hierarchy":
            self.top = words[2]
        elif words[0] == "write_rtlil":
            content = folder / f"{self.top.rpartition('.')[2]}.content"
            Path(words[1]).write_text(f"{self.top} {content.read_text() if content.exists() else content.name}")
        elif words[0] == "tee":
            Path(words[words.index("-o") + 1]).write_text('{"design": {"num_cells_by_type": {"LUT4": 1}}}')
