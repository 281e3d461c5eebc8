"""What each step of quantization after training is worth, on networks for Fashion-MNIST -> docs/ptq.md.

The networks are trained once, and kept in the folder --work. So is every row of the tables.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import parser_of, publish, table
from float_networks import EPOCHS, SCALE, networks, trained

from codesign.datasets.load import DataConfig, load_dataset
from codesign.front.quantization import RealArray
from codesign.front.read import prepared
from codesign.front.source import Source
from codesign.front.torch_module import read_module
from codesign.ir.dataset import Dataset
from codesign.ir.strict import to_plain
from codesign.progress import silent
from codesign.ptq.config import QuantizeConfig, Ranges
from codesign.ptq.mixed import mixed_widths
from codesign.ptq.observe import outputs, right_share, sqnr_db
from codesign.ptq.quantize import Widths, chosen_ranges, finished, observed, roundings_of

CALIBRATION = 512  # images of the training part
BUDGETS = {"8 bits": 0.003, "weights of 4 bits": 0.015}  # points of accuracy that may be lost, as shares
FOUR = {"weight_bits": 4}
RAW = {"ranges": Ranges.MAX, "weight_ranges": Ranges.MAX, "correct_bias": False}

CASES: Mapping[str, QuantizeConfig] = {
    "8 bits": QuantizeConfig(),
    "8 bits, ranges by max": QuantizeConfig(ranges=Ranges.MAX, weight_ranges=Ranges.MAX),
    "8 bits, maps by percentile": QuantizeConfig(ranges=Ranges.PERCENTILE),
    "8 bits, maps by mse": QuantizeConfig(ranges=Ranges.MSE),
    "8 bits, no zero points": QuantizeConfig(zero_points=False),
    "8 bits, no bias correction": QuantizeConfig(correct_bias=False),
    "8 bits, powers of two": QuantizeConfig(power_of_two=True),
    "weights of 4 bits": QuantizeConfig(**FOUR),
    "weights of 4 bits, by max": QuantizeConfig(**FOUR, ranges=Ranges.MAX, weight_ranges=Ranges.MAX),
    "weights of 4 bits, no bias correction": QuantizeConfig(**FOUR, correct_bias=False),
    "weights of 4 bits, by max, no bias correction": QuantizeConfig(**FOUR, **RAW),
    "weights of 4 bits, equalised": QuantizeConfig(**FOUR, equalize=True),
    "weights of 4 bits, powers of two": QuantizeConfig(**FOUR, power_of_two=True),
    "weights of 4 bits, one scale a layer": QuantizeConfig(**FOUR, per_channel=False),
    "weights of 4 bits, one scale a layer, equalised": QuantizeConfig(**FOUR, per_channel=False, equalize=True),
    "weights and maps of 4 bits": QuantizeConfig(**FOUR, activation_bits=4),
    "4 to 8 bits, at most 0.5 points lost": QuantizeConfig(most_lost_accuracy=0.005),
}


def measure(source: Source, dataset: Dataset, config: QuantizeConfig, exact: RealArray) -> dict[str, Any]:
    """Return accuracy and noise of one quantized network on all test images."""
    order = np.random.default_rng(0).permutation(len(dataset.train_x))[:CALIBRATION]
    floats = observed(source, dataset.train_x[order] * SCALE, config)
    config = chosen_ranges(floats, config).config
    widths = mixed_widths(floats, dataset.train_y[order], config, silent) if config.is_mixed else Widths()
    roundings = roundings_of(floats, config, widths)
    (found,) = outputs(finished(floats, roundings, config), dataset.test_x * SCALE)
    elements = {weight: constant.values.size for weight, constant in roundings.weights.items()}
    bits = sum(roundings.weight_bits[weight] * size for weight, size in elements.items()) / sum(elements.values())
    return {
        "float": right_share(exact, dataset.test_y),
        "accuracy": right_share(found, dataset.test_y),
        "sqnr_db": sqnr_db((exact,), (found,)),
        "weight_bits": bits,
    }


def rows_of(dataset: Dataset, work: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what was measured, by network and case; what the folder has is not measured again."""
    kept = work / "rows.json"
    rows: dict[str, dict[str, dict[str, Any]]] = json.loads(kept.read_text()) if kept.exists() else {}
    sources: dict[str, tuple[Source, RealArray]] = {}
    for case, config in CASES.items():
        for name in networks():
            held = rows.setdefault(name, {})
            if held.get(case, {}).get("config") == to_plain(config):
                continue
            if name not in sources:
                module = trained(name, dataset, work)
                source = prepared(name, read_module(module, np.zeros((1, 1, 28, 28)), name))
                sources[name] = source, *outputs(source, dataset.test_x * SCALE)
            source, exact = sources[name]
            held[case] = {**measure(source, dataset, config, exact), "config": to_plain(config)}
            kept.write_text(json.dumps(rows, indent=1))
            told = f"{held[case]['accuracy']:.2%} of {held[case]['float']:.2%}"
            print(f"{name}, {case}: {told}", file=sys.stderr, flush=True)
    return rows


def page(rows: Mapping[str, Mapping[str, Mapping[str, Any]]], dataset: Dataset) -> str:
    """Return the page."""
    names = list(rows)
    first = [next(iter(rows[name].values())) for name in names]
    head = ["", *(f"{name}" for name in names)]
    lines = [["float", *(f"{row['float']:.2%}" for row in first)]]
    lines += [[case, *(_cell(rows[name][case]) for name in names)] for case in CASES]
    noise = [[case, *(f"{rows[name][case]['sqnr_db']:.1f}" for name in names)] for case in CASES]
    mixed = list(CASES)[-1]
    bits = ", ".join(f"{name} {rows[name][mixed]['weight_bits']:.2f}" for name in names)
    return f"""# Quantization after training

`make bench-ptq` writes this page. Three networks are trained in float on the {len(dataset.train_x):,} training
images of Fashion-MNIST, {EPOCHS} epochs each, without a thought of quantization. Then they are quantized by
{CALIBRATION} training images. Accuracy is of all {len(dataset.test_x):,} test images, which served for nothing else.
Each network is trained once: 0.1 points are 10 images.

- *plain*: three 3x3 convolutions with batch normalization, ReLU and a maximum each.
- *separable*: depthwise and pointwise convolutions with ReLU6, as in MobileNet.
- *residual*: two blocks with a sum around each, as in ResNet.

"8 bits" has weights of least squared error with a scale for each channel, and corrected biases. Its maps have those
ranges of the three kinds that give the least noise at the output for the calibration images. Each other row changes
what it names. The input always has 8 bits, and the scores at the end 16.

## Accuracy, and points lost to float

{table(head, lines)}
{_verdict(rows)}

Where widths are mixed, weights have these bits in the mean: {bits}.

## Signal to quantization noise at the output, in dB

{table(head, noise)}"""


def _cell(row: Mapping[str, Any]) -> str:
    return f"{row['accuracy']:.2%} ({100 * (row['accuracy'] - row['float']):+.2f})"


def _verdict(rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Return what holds of the two budgets."""
    told = []
    for case, most in BUDGETS.items():
        lost = {name: held[case]["float"] - held[case]["accuracy"] for name, held in rows.items()}
        worst = max(lost, key=lambda name: lost[name])
        kept = "is kept" if lost[worst] <= most + 1e-12 else "is **not** kept"
        named = f"{case[0].upper()}{case[1:]}: at most {100 * most:g} points may be lost. That {kept}"
        told.append(f"{named}: {worst} loses most, {100 * lost[worst]:.2f}.")
    return " ".join(told)


def main() -> None:
    """Measure what is not kept, and write the page."""
    parser = parser_of(__doc__, work=True)
    arguments = parser.parse_args()
    work = arguments.work or Path("runs") / "ptq"
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    dataset = load_dataset(DataConfig())
    publish(page(rows_of(dataset, work), dataset), arguments.out)


if __name__ == "__main__":
    main()
