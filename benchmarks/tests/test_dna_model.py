"""DNA's model, re-stated: its golden values, its space's sizes, and searches that find what there is."""

import time
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from dna.__main__ import Store
from dna.evaluate import SAMPLES, Ours, digest, free_change, row, worths
from dna.expected import CASES, agrees
from dna.graphs import graph_of
from dna.model import Fixes, Layer, Tiles, Unroll, bram_count, dram_bytes, dsp_count, layer_cycles
from dna.networks import (
    CIFAR_FREE_CHANGE,
    EDD_NET_3,
    FBNET_C,
    NETWORKS,
    SEARCHED_166,
    SEARCHED_208,
    all_layers,
    macs,
    mapped_layers,
    with_free_changes,
    without_free_changes,
)
from dna.page import Results, page
from dna.search import Limits, Progress, best, chance_of_best, design, draw_more, price, row_chances, sample, start
from dna.space import CIFAR_FOUR, EIGHT, FOUR, LAYOUTS, TEN, Chunk, Layout, Table, all_tiles, allocate, chunks, size
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.ir.boards import load_board
from codesign.ops.add import Add
from codesign.ops.conv import Conv
from codesign.search.design import search_design

EXTENTS = ("tile_oy", "tile_ox", "tile_k", "tile_c", "unroll_oy", "unroll_ox", "unroll_k", "unroll_c")
SMALL = Layout(name="small", tables=(Table((4, 2, 1), (4, 2, 1)), Table((2, 1), (6, 2, 1))), sizes=(28, 0))

# Found by running the authors' own functions.
GOLDEN = [
    (Unroll.K, (28, 28, 8, 8, 7, 7, 8, 4), Layer(c=96, k=24, o=56), 16, 933_696, 8, 24),
    (Unroll.KC, (28, 14, 8, 8, 7, 7, 8, 8), Layer(c=144, k=32, o=28), 16, 124_608, 64, 24),
    (Unroll.OY, (14, 7, 16, 4, 14, 7, 16, 1), Layer(c=96, k=480, o=14, stride=2), 16, 767_520, 14, 43),
    (Unroll.KC, (7, 7, 32, 32, 7, 7, 16, 16), Layer(c=1104, k=352, o=7), 8, 125_653, 128, 48),
    (Unroll.KC, (16, 16, 16, 16, 8, 8, 16, 16), Layer(c=48, k=256, o=16, f=5), 16, 404_480, 256, 48),
    (Unroll.K, (28, 28, 8, 1, 7, 7, 8, 1), Layer(c=1, k=144, o=28, f=5, depthwise=True), 16, 396_036, 8, 24),
    (Unroll.OY, (14, 14, 16, 1, 14, 7, 4, 1), Layer(c=1, k=672, o=14, f=3, depthwise=True), 16, 129_024, 14, 49),
]


def tiles(unroll, extents):
    return Tiles(unroll=unroll, **{name: np.array([extent]) for name, extent in zip(EXTENTS, extents, strict=True)})


@pytest.mark.parametrize(("unroll", "extents", "layer", "bits", "cycles", "dsp", "bram"), GOLDEN)
def test_a_layer_costs_what_the_authors_functions_say(unroll, extents, layer, bits, cycles, dsp, bram):
    cut = tiles(unroll, extents)
    assert layer_cycles(layer, cut, bits).tolist() == [cycles]
    assert dsp_count(cut, bits).tolist() == [dsp]
    assert bram_count(layer, cut, bits).tolist() == [bram]


def test_a_product_takes_dsps_by_its_bits():
    cut = tiles(Unroll.KC, (1, 1, 3, 1, 1, 1, 3, 1))
    assert [int(dsp_count(cut, bits)[0]) for bits in (4, 8, 9, 16, 32)] == [1, 1, 3, 3, 6]


def test_space_sizes():
    assert f"{size(FOUR):.3e}" == "2.187e+16"
    assert f"{size(TEN):.3e}" == "9.338e+39"


@pytest.mark.parametrize(
    ("network", "products"), [(FBNET_C, 350_816_480), (SEARCHED_166, 165_795_616), (SEARCHED_208, 207_912_096)]
)
def test_networks_have_their_products(network, products):
    assert macs(mapped_layers(network)) == products


def test_every_layer_has_its_chunk():
    for layout, network in product((FOUR, TEN), (FBNET_C, SEARCHED_166)):
        placed = mapped_layers(network)
        assert sum(count.total() for count in allocate(layout, placed).values()) == len(placed)
        assert set(allocate(layout, placed)) <= set(chunks(layout))
    assert {chunk.name for chunk in allocate(EIGHT, mapped_layers(EDD_NET_3))} == {
        f"{kind}{i}" for kind in ("a", "dwa") for i in range(4)
    }


@pytest.mark.parametrize(
    ("layout", "bits", "fps", "dsp", "bram"),
    [(FOUR, 16, 52.86, 174, 116), (FOUR, 8, 105.72, 175, 175), (TEN, 16, 111.23, 326, 451), (TEN, 8, 202.30, 299, 572)],
)
def test_the_exact_optimum_of_fbnet_c(layout, bits, fps, dsp, bram):
    found = best(price(layout, mapped_layers(FBNET_C), bits))
    assert (round(found.fps, 2), found.dsp, found.bram) == (fps, dsp, bram)


@settings(deadline=None, max_examples=15)
@given(
    dsp=st.integers(2, 30), bram=st.integers(6, 60), shared=st.one_of(st.none(), st.floats(0.5, 8.0)),
    bits=st.sampled_from([8, 16]),
)  # fmt: skip
def test_the_exact_search_equals_brute_force(dsp, bram, shared, bits):
    layers = [p for p in mapped_layers(FBNET_C) if p.block in (3, 20)]
    parts = price(SMALL, layers, bits)
    thin = tuple(
        replace(p, cycles=p.cycles[::13], dsp=p.dsp[::13], bram=p.bram[::13], dram=p.dram[::13]) for p in parts
    )[:3]
    limits = Limits(dsp=dsp, bram=bram, bytes_per_cycle=shared)
    every = np.meshgrid(*(np.arange(len(p.cycles)) for p in thin), indexing="ij", sparse=True)
    total = {
        name: sum(getattr(p, name)[e] for p, e in zip(thin, every, strict=True)) for name in ("dsp", "bram", "dram")
    }
    interval = np.maximum.reduce(np.broadcast_arrays(*(p.cycles[e] for p, e in zip(thin, every, strict=True))))
    if shared:
        interval = np.maximum(interval, total["dram"] / shared)
    fits = (total["dsp"] <= dsp) & (total["bram"] <= bram)
    found = best(thin, limits)
    if not fits.any():
        assert found is None
    else:
        assert found.interval == pytest.approx(interval[fits].min(), rel=2e-6)
        assert found.dsp <= dsp
        assert found.bram <= bram


@pytest.mark.parametrize("fixes", [Fixes(whole_tiles=True), Fixes(true_halo=True), Fixes(weight_bram=True)], ids=str)
def test_fixes_only_add(fixes):
    for chunk in chunks(SMALL):
        for cut in all_tiles(chunk):
            layer = Layer(c=1 if chunk.depthwise else 5, k=7, o=9, f=3, depthwise=chunk.depthwise)
            assert (layer_cycles(layer, cut, 16, fixes) >= layer_cycles(layer, cut, 16) - 1e-9).all()
            assert (bram_count(layer, cut, 16, fixes) >= bram_count(layer, cut, 16)).all()
            assert (dram_bytes(layer, cut, 16, fixes) >= dram_bytes(layer, cut, 16) - 1e-9).all()


def test_whole_tiles_count_as_loops_do():
    layer = Layer(c=5, k=7, o=9, f=3)
    for cut in all_tiles(Chunk(0, False, Table((4, 2), (6, 4)))):
        cycles = layer_cycles(layer, cut, 16, Fixes(whole_tiles=True))
        for i in range(0, len(cycles), 5):
            row = [int(getattr(cut, name)[i]) for name in EXTENTS]
            assert cycles[i] == counted(layer, cut.unroll, row)


def up(a, b):
    return -(-a // b)


def port(words):
    return max(min(4, words), 2)


def counted(layer, unroll, extents):
    """Count the cycles of a layer at 16 bits, in whole tiles and by nothing but divisions rounded up."""
    oy, ox, k, c, roy, rox, rk, rc = extents
    steps = {
        Unroll.K: oy * ox * up(k, rk) * c,
        Unroll.KC: oy * ox * up(k, rk) * up(c, rc),
        Unroll.OY: up(oy, roy) * ox * k * c,
    }
    iy, ix = max(roy + layer.f - 1, oy), max(rox + layer.f - 1, ox)
    read = up(c * iy * ix, port(iy if unroll is Unroll.OY else rc))
    load = k * c * layer.f if unroll is Unroll.OY else up(k * c * layer.f**2, port(rk))
    rows = unroll is Unroll.OY
    write = up(k * oy * ox, port(roy if rows else rk)) + (up(oy, roy) * ox * k if rows else oy * ox * up(k, rk))
    busy = max(steps[unroll] * layer.f**2, read) + load
    return up(layer.o, oy) * up(layer.o, ox) * up(layer.k, k) * (up(layer.c, c) * busy + write)


def test_samples_follow_their_chances():
    chunk = Chunk(0, False, Table((2, 1), (2, 1)))
    chances = row_chances(chunk)
    drawn = np.bincount(sample(chunk, 60_000, np.random.default_rng(1)), minlength=len(chances))
    assert chances.sum() == pytest.approx(1.0)
    assert len(chances) == sum(len(cut.tile_k) for cut in all_tiles(chunk))
    assert np.abs(drawn / 60_000 - chances).max() < 0.005


def test_a_random_search_is_resumed_to_the_same_end():
    parts = price(FOUR, mapped_layers(FBNET_C), 16)
    whole = start(3)
    for _ in range(3):
        whole = draw_more(parts, whole)
    resumed = draw_more(parts, draw_more(parts, start(3)))
    assert draw_more(parts, replace(resumed)) == whole
    assert whole.after(6000) == max(whole.best) <= best(parts).fps


def test_the_chance_of_a_best_is_that_of_many_searches():
    parts = price(FOUR, mapped_layers(FBNET_C), 16)
    middle = chance_of_best(parts, 2000, 0.5)
    below = sum(draw_more(parts, start(seed)).best[-1] < middle for seed in range(200))
    assert 70 <= below <= 130


def test_the_slowest_chunk_or_the_shared_memory_sets_the_interval():
    parts = price(FOUR, mapped_layers(FBNET_C), 16)
    free = best(parts)
    shared = design(parts, free.rows, Limits(bytes_per_cycle=1.0))
    assert free.interval == max(float(p.cycles[row]) for p, row in zip(parts, free.rows, strict=True))
    assert shared.interval == shared.dram > free.interval


def test_free_changes_of_width_or_size_are_filled():
    filled = without_free_changes(CIFAR_FREE_CHANGE)
    assert [b for b in range(22) if filled.blocks[b] != CIFAR_FREE_CHANGE.blocks[b]] == [5]
    assert all(without_free_changes(network) == network for network in NETWORKS)
    skipped = with_free_changes(FBNET_C)
    assert [b for b in range(22) if without_free_changes(skipped).blocks[b] == "k3_e1" != FBNET_C.blocks[b]] == [
        1, 5, 9, 13, 17, 21,
    ]  # fmt: skip


def test_stem_header_and_classifier_have_their_products():
    added = macs(all_layers(FBNET_C)) - macs(mapped_layers(FBNET_C))
    assert added == 3 * 16 * 9 * 112**2 + 352 * 1984 * 49 + 1984 * 1000
    with pytest.raises(ValueError, match="stem, header and classifier are not known"):
        all_layers(EDD_NET_3)


@pytest.mark.parametrize("whole", [False, True])
def test_a_graph_of_ours_has_the_same_products(whole):
    graph = graph_of(FBNET_C, 4, 8, whole=whole)
    placed = all_layers(FBNET_C) if whole else mapped_layers(FBNET_C)
    assert sum(node.macs for node in graph.nodes if isinstance(node, Conv)) == macs(placed)
    assert sum(isinstance(node, Add) for node in graph.nodes) == 15


def test_half_width_layers_side_by_side_are_one_grouped_convolution():
    graph = graph_of(SEARCHED_166, 8, 8, whole=False)
    assert {n.groups for n in graph.nodes if isinstance(n, Conv) and not n.depthwise} == {1, 2}
    assert sum(n.macs for n in graph.nodes if isinstance(n, Conv)) == macs(mapped_layers(SEARCHED_166))


def test_what_our_graphs_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="accumulator"):
        graph_of(FBNET_C, 16, 16, whole=False)


def test_layouts_have_names_of_their_own():
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)


def test_a_figure_agrees_to_the_digits_written():
    assert agrees(52.8649, 52.86)
    assert not agrees(52.866, 52.86)
    assert agrees(99.34, 99.3)


def test_every_correction_is_priced_and_the_page_names_its_columns():
    board = load_board("zc706")
    found = worths(FBNET_C, SMALL, 16, board)
    optimum = found[0].anew.fps
    assert [w.what.partition(".")[0] for w in found][1:8] == ["1", "2", "3a", "3b", "3b", "4", "4"]
    assert all(w.anew is not None and w.anew.fps <= optimum + 1e-9 for w in found)
    assert all(w.same.fps <= w.anew.fps * (1 + 1e-5) for w in found if w.same_fits)
    assert found[-1].anew.fps < 0.7 * optimum
    parts = price(FOUR, mapped_layers(FBNET_C), 16)
    drawn = Progress(seed=0, drawn=SAMPLES, fitting=SAMPLES, best=(20.0,) * (SAMPLES // 2000))
    unfit = Ours(
        network=FBNET_C, whole=True, bits=(8, 8), found=None, trouble="design: graph 'g': lut needs 2, available 1"
    )
    results = Results(
        rows=[row(CASES[0], parts, [drawn])],
        worths={"small, 16 bits": found},
        free_changes=[free_change(CIFAR_FREE_CHANGE, CIFAR_FOUR, 8)],
        ours=[unfit],
        board=board,
        pl_mb_s=12_800.0,
        refused={"x": "35 bits"},
    )
    text = page(results, 700)
    for column in ("Exact", "Known", "Nine in ten", "Correction", "Products, free", "Weight, activation bits"):
        assert f"| {column} |" in text
    assert "lut needs 2, available 1" in text
    assert "nan" not in text


def test_random_searches_are_kept_for_the_next_run(tmp_path):
    parts = price(SMALL, mapped_layers(FBNET_C)[:3], 16)
    halfway = draw_more(parts, start(5))
    Store(tmp_path / "random.json").save("key", halfway)
    assert Store(tmp_path / "random.json").load("key", 5) == halfway
    assert Store(tmp_path / "random.json").load("another", 5) == start(5)
    assert digest(parts) == digest(price(SMALL, mapped_layers(FBNET_C)[:3], 16))
    assert digest(parts) != digest(price(SMALL, mapped_layers(FBNET_C)[:3], 8))


def test_fbnet_c_as_a_whole_has_a_proved_design_in_seconds() -> None:
    """The network has stem, header and classifier, 4-bit weights and 8-bit activations; seconds are the processor's."""
    graph = graph_of(FBNET_C, 4, 8, whole=True)
    begun = time.process_time()
    found = search_design(graph, load_board("zcu102"), explain=False)
    assert time.process_time() - begun < 10.0
    assert len(found.design.engines) > 80
    assert found.proved_optimal
