"""summary.json: the machine-readable result of a run. Its keys are an interface; `schema` rises when they change."""

from dataclasses import asdict
from typing import Any

from codesign.ir.cost import NAMES, Cost
from codesign.ir.measurement import Measurement
from codesign.model.limit import limit_interval
from codesign.report.usage import design_usage
from codesign.report.view import Column, View

SCHEMA = 1


def summary(view: View) -> dict[str, Any]:
    """Return the result as plain data; a part that was not run is absent, never zero."""
    clock_mhz = view.board.clock_mhz
    parts: dict[str, Any] = {
        "encoding": _encoding(view),
        "source": _source(view),
        "quantization": _quantization(view),
        "accuracy": _accuracy(view),
        "predicted": _predicted(view),
        "limit": _limit(view),
        "csim": None if view.csim is None else _simulated(view.csim),
        "rtlsim": None if view.rtlsim is None else _rtl(view.rtlsim, clock_mhz),
        "synthesis": _synthesis(view),
        "search": _search(view),
        "remarks": list(view.remarks) or None,
        "wrong": list(view.wrong) or None,
    }
    head = {"schema": SCHEMA, "name": view.name, "board": view.board.name, "clock_mhz": clock_mhz}
    return {
        **head,
        **{k: _present(part) if isinstance(part, dict) else part for k, part in parts.items() if part is not None},
    }


def fps(interval_cycles: int, clock_mhz: float) -> float:
    """Return images per second, to the hundredth."""
    return round(clock_mhz * 1e6 / interval_cycles, 2)


def _encoding(view: View) -> dict[str, Any] | None:
    """Return how a user's numbers become the integers of the input, where they are not these already."""
    if view.graph is None or view.graph.encoding.is_identity:
        return None
    encoding = view.graph.encoding
    return {"offset": encoding.offset, "step": encoding.step, "half_even": encoding.half_even}


def _source(view: View) -> dict[str, Any] | None:
    """Return what is known of the file of another tool, and how the golden model compares with its own runtime."""
    o = view.origin
    if o is None:
        return None
    found: dict[str, Any] = {
        "format": o.format,
        "verdict": o.verdict,
        "input_axes": o.input_axes,
        "output_axes": o.output_axes,
        "largest_scaling_error_steps": max((error for _, _, error in o.layers), default=0.0),
    }
    if o.runtime and not o.failure:
        found |= {
            "runtime": o.runtime,
            "images": o.images,
            "words": o.words,
            "differing_words": o.differing_words,
            "largest_steps": o.largest_steps,
            "mean_steps": o.mean_steps,
            "differing_predictions": o.differing_predictions,
        }
    return found


def _quantization(view: View) -> dict[str, Any] | None:
    """Return what quantization after training lost, place by place; a ratio that is absent is infinite."""
    made = view.quantization
    if made is None:
        return None
    return {"data": made.data, "sqnr_db": made.sqnr_db, "losses": [_present(asdict(loss)) for loss in made.losses]}


def _accuracy(view: View) -> dict[str, Any] | None:
    a = view.accuracy
    if a is None:
        return None
    found = {"float": a.float_, "quantized": a.quantized, "golden": a.golden, "test_images": a.images}
    return {**found, "plain_float": None if view.plain is None else view.plain.test}


def _predicted(view: View) -> dict[str, Any] | None:
    cost = view.cost
    if cost is None:
        return None
    r = cost.resources
    return {
        "interval_cycles": cost.interval_cycles,
        "latency_cycles": cost.latency_cycles,
        "fps": fps(cost.interval_cycles, view.board.clock_mhz),
        "dsp": r.dsp,
        "bram18": r.bram18,
        "uram": r.uram,
        "lut": r.lut,
        "ff": r.ff,
        "dram_bytes": cost.dram_bytes,
        "fits": None if r.fits(view.board.budget) else False,
        "useful_products": _useful(view, cost),
        **_clock(cost, view.board.clock_mhz),
    }


def _useful(view: View, cost: Cost) -> float | None:
    usage = None if view.machine is None else design_usage(view.machine, cost)
    return None if usage is None else round(usage.useful, 3)


def _clock(cost: Cost, nominal_mhz: float) -> dict[str, Any]:
    """Return which clock is the lower, the board's nominal one or the estimated one, and FPS where the latter is."""
    clock = cost.clock
    if clock is None:
        return {"clock": "nominal"}
    told = {"estimated_clock_mhz": round(clock.estimated_mhz, 1), "slowest_path": clock.slowest}
    if clock.reaches(nominal_mhz):
        return {"clock": "nominal", **told}
    return {"clock": "estimated", **told, "fps_at_estimated_clock": fps(cost.interval_cycles, clock.estimated_mhz)}


def _limit(view: View) -> dict[str, Any] | None:
    if view.graph is None:
        return None
    interval = limit_interval(view.graph, view.board)
    if interval is None:
        return None
    return {"interval_cycles": interval, "fps": fps(interval, view.board.clock_mhz)}


def _simulated(m: Measurement) -> dict[str, Any]:
    return {"images": m.images, "mismatches": m.mismatches, "seconds": round(m.seconds, 3)}


def _rtl(m: Measurement, clock_mhz: float) -> dict[str, Any]:
    return {
        "images": m.images,
        "mismatches": m.mismatches,
        "interval_cycles": m.interval_cycles,
        "latency_cycles": m.latency_cycles,
        "fps": None if m.interval_cycles is None else fps(m.interval_cycles, clock_mhz),
        "seconds": round(m.seconds, 3),
    }


def _synthesis(view: View) -> dict[str, Any] | None:
    """What open synthesis counted."""
    for column, m in view.measured:
        if column is Column.OPEN_SYNTHESIS and m.resources is not None:
            return {**{name: getattr(m.resources, name) for name in NAMES}, "seconds": round(m.seconds, 3)}
    return None


def _search(view: View) -> dict[str, Any] | None:
    s = view.search
    if s is None:
        return None
    found = {"seconds": round(s.seconds, 3), "evaluations": s.evaluations, "proved_optimal": s.proved_optimal}
    return {**found, "edited": True if s.edited else None}


def _present(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if value is not None}
