"""Names of a file as names of a Graph, which become identifiers of C++, SystemVerilog and Python."""

import re
from collections.abc import Set

LONGEST = 40  # of a name; a number may follow
_OTHERS = re.compile(r"[^a-z0-9]+")

# Words of C, C++, SystemVerilog, Tcl and Python that no identifier may be, as far as they are lower case.
_WORDS = """
    alias always and as asm assert assign assume async auto automatic await before begin bind bins bit bool
    break buf byte case casex casez catch cell chandle char checker class clk clock clocking cmos concat
    config const constexpr constraint context continue core cover covergroup coverpoint cross data deassign
    def default defparam del delete design disable dist do double edge elif else elsif end endcase endclass
    endfunction endmodule endpackage endtask enum event except exec expect explicit export extends extern
    false final finally first float for force foreach forever fork forkjoin friend from function generate
    genvar global goto if iff ifnone ignore_bins import in include initial inline inout input inside instance
    int integer interconnect interface intersect is join lambda large last layers let liblist library local
    localparam logic long lower main matches medium modport module mutable namespace nand negedge nettype
    network new nmos noexcept none nonlocal nor not null nullptr operator or output package packed parameter
    pass pmos port posedge primitive priority private proc program property protected pull0 pull1 pulldown
    pullup pure raise rand randc randcase randsequence ready real realtime ref reg register release repeat
    requires reset restrict return rnmos rpmos rst rtran s_always scalared self sequence set short shortint
    shortreal showcancelled signed sizeof small soft solve specify specparam static static_assert static_cast
    string strong strong0 strong1 struct super supply0 supply1 switch sync_accept_on table tagged task
    template this thread_local throughout throw time timeprecision timeunit top tran tri tri0 tri1 triand
    trior trireg true try type typedef typeid typename union unique unique0 unsigned until untyped use using
    uwire valid var vectored virtual void volatile wait wand weak weak0 weak1 while wildcard wire with within
    wor xnor xor yield
"""
RESERVED = frozenset(_WORDS.split())


def legal_name(name: str, taken: Set[str]) -> str:
    """Return a name of a Graph for one of a file: small letters, digits and _, a letter in front, not taken."""
    plain = _OTHERS.sub("_", name.lower()).strip("_")[:LONGEST].strip("_")
    if not plain or plain[0].isdigit():
        plain = f"n_{plain}".strip("_")
    if plain in RESERVED:
        plain = f"{plain}_node"
    made, i = plain, 2
    while made in taken:
        made, i = f"{plain}_{i}", i + 1
    return made
