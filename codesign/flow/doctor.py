"""What is installed, what is missing, and what works without it."""

import importlib.metadata
import importlib.util
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True, slots=True)
class Finding:
    """A tool or package that some part needs: its version, and what is lost or done instead without it."""

    name: str
    version: str | None
    needed_for: str
    without: str
    remedy: str


def examine() -> tuple[Finding, ...]:
    """Look for everything that any part can use; nothing is started or imported."""
    version = ".".join(map(str, sys.version_info[:3]))
    packages = (
        ("numpy", "the golden model", "nothing works", "pip install numpy"),
        ("scipy", "design search", "no design search", "pip install scipy"),
        ("jinja2", "rendering", "no project", "pip install jinja2"),
        ("PyYAML", "boards and configurations", "nothing works", "pip install pyyaml"),
        ("torch", "codesign run", "compile and every verb on a run folder work", "pip install codesign[train]"),
        (
            "onnx",
            "codesign compile, and run's .onnx file",
            "run works, without its .onnx",
            "pip install codesign[onnx]",
        ),
        ("tflite", "codesign compile of TFLite files", "no TFLite files", "pip install codesign[tflite]"),
        ("onnxruntime", "comparing an ONNX file", "no comparison with it", "pip install onnxruntime"),
        ("qonnx", "comparing a QONNX file", "no comparison with it", "pip install qonnx"),
        ("ai-edge-litert", "comparing a TFLite file", "no comparison with it", "pip install ai-edge-litert"),
        ("pyosys", "codesign synthesize", "no open synthesis; its column stays empty", "pip install codesign[synth]"),
        ("tensorboard", "log: tensorboard", "the CSV logs are written", "pip install codesign[tensorboard]"),
    )
    programs = (
        ("g++", "C simulation, RTL simulation", "neither simulation runs", "apt-get install g++"),
        ("make", "RTL simulation", "no RTL simulation", "apt-get install make"),
        ("verilator", "RTL simulation", "cycles are predicted, not measured", "apt-get install verilator"),
    )
    data = "present" if FASHION_MNIST.is_dir() else None
    return (
        Finding("python", version, "everything", "", ""),
        *(Finding(n, _package(n), *rest) for n, *rest in packages),
        *(Finding(n, shutil.which(n), *rest) for n, *rest in programs),
        Finding(
            "Fashion-MNIST",
            data,
            "the demo's full data set",
            "the built-in subset of 6,000 images stands in",
            "apt-get install dataset-fashion-mnist",
        ),
    )


def _package(name: str) -> str | None:
    module = {"PyYAML": "yaml", "ai-edge-litert": "ai_edge_litert"}.get(name, name)
    if importlib.util.find_spec(module) is None:
        return None
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "present"
