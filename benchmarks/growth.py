"""How an atlas's own cost grows with tokens, layers, width and networks, beside the forward pass.

    python -m benchmarks.growth [--rounds 3] [--draw growth.html]

Synthetic sites of noise with a few planted directions, up to the MLP neurons of a 7B model (32 x 11,008). Each figure
is the median of fresh processes: seconds of reducing, spilling, separating and projecting, and the peak of memory above
what it was before. Each axis is doubled from a base of 8 passages of 256 tokens, 16 layers of 2,752 neurons and
32 networks; the exponent is the slope of the logarithms. At the end the same for a 70B model (80 x 28,672), on
paper: operations of the method's matrix products beside two for each weight and token.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import torch
from torch import Tensor

from fnet_core.decomposition.canica import SKETCH_FACTOR, canica
from fnet_core.profiling import PeakMemory, Stopwatch

TOKENS = 256
BASE = {"passages": 8, "layers": 16, "width": 2_752, "components": 32}
AXES = {
    "passages": (4, 8, 16, 32),
    "layers": (4, 8, 16, 32),
    "width": (1_376, 2_752, 5_504, 11_008),
    "components": (8, 16, 32, 64),
}
LARGEST = {"passages": 4, "layers": 32, "width": 11_008, "components": 32}
MODELS = {"7B": (32, 11_008, 6.7e9), "70B": (80, 28_672, 69e9)}


def subjects(passages: int, neurons: int, components: int) -> Iterator[Tensor]:
    """Passages of noise with as many planted directions as networks, in memory that is used again."""
    generator = torch.Generator().manual_seed(0)
    maps_KN = torch.randn(components, neurons, generator=generator).pow_(3)
    memory_TN = torch.empty(TOKENS, neurons)
    for _ in range(passages):
        courses_TK = torch.randn(TOKENS, components, generator=generator)
        torch.matmul(courses_TK, maps_KN, out=memory_TN)
        memory_TN += torch.randn(1, neurons, generator=generator) * torch.randn(TOKENS, 1, generator=generator)
        for row in memory_TN:
            row += torch.randn(neurons, generator=generator)
        yield memory_TN


def one(passages: int, layers: int, width: int, components: int) -> dict[str, float]:
    """Seconds and bytes of one decomposition in this process."""
    before = psutil.Process().memory_info().rss
    peak, clock = PeakMemory(), Stopwatch()
    canica(subjects(passages, layers * width, components), [layers * width], components, clock=clock)
    seconds = {stage: value for stage, value in clock.seconds.items() if stage != "capturing"}
    return {"seconds": sum(seconds.values()), "bytes": peak.bytes() - before, **seconds}


def measured(sizes: dict[str, int], rounds: int) -> dict[str, float]:
    """The median of several fresh processes."""
    command = [sys.executable, "-m", "benchmarks.growth", "--one", *map(str, sizes.values())]
    runs = [
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(rounds)
    ]
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def exponent(sizes: list[int], values: list[float]) -> float:
    """The slope of log(value) over log(size)."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def on_paper(layers: int, width: int, parameters: float, tokens: int, components: int) -> tuple[float, float]:
    """Operations beside the forward pass's, and bytes held: a passage raw, z-scored and in float16, sketch and maps."""
    neurons, per_subject, held = layers * width, 2 * components, SKETCH_FACTOR * components
    each_passage = 1.5 * tokens**2 + 2 * per_subject * tokens + 2 * held * per_subject
    each_passage += 2 * held * (held + per_subject) + 2 * components * tokens
    rows = 2.5 * tokens + held + per_subject + 10 * components
    return each_passage * neurons / (2 * parameters * tokens), 4.0 * rows * neurons


def main() -> None:
    """Measure and print, and draw where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--draw", type=Path)
    parser.add_argument("--one", type=int, nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(*options.one)))
        return
    found: dict[str, list[dict[str, float]]] = {}
    known: dict[tuple[int, ...], dict[str, float]] = {}
    print("| axis | size | reducing s | separating s | projecting s | all s | MB |\n|---|---|---|---|---|---|---|")
    for axis, sizes in (*AXES.items(), ("7B", (1,))):
        for size in sizes:
            asked = LARGEST if axis == "7B" else BASE | {axis: size}
            key = tuple(asked.values())
            known[key] = known.get(key) or measured(asked, options.rounds)
            found.setdefault(axis, []).append(known[key])
            stages = " | ".join(f"{known[key][stage]:.2f}" for stage in ("reducing", "separating", "projecting"))
            told = "32 x 11,008, 4 passages" if axis == "7B" else f"{size:,}"
            print(
                f"| {axis} | {told} | {stages} | {known[key]['seconds']:.2f} | {known[key]['bytes'] / 1e6:.0f} |",
                flush=True,
            )
    print()
    for axis, sizes in AXES.items():
        seconds, memory = ([each[name] for each in found[axis]] for name in ("seconds", "bytes"))
        print(
            f"{axis}: seconds grow with power {exponent(list(sizes), seconds):.2f}, "
            f"memory with {exponent(list(sizes), memory):.2f}"
        )
    for name, (layers, width, parameters) in MODELS.items():
        share, held = on_paper(layers, width, parameters, TOKENS, BASE["components"])
        print(f"{name} on paper: {share:.1%} of the operations of a forward pass, {held / 1e9:.1f} GB held")
    if options.draw:
        draw(found, options.draw)


def draw(found: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Seconds and memory over each axis, both logarithmic, as one HTML file."""
    from plotly.subplots import make_subplots

    figure = make_subplots(1, 2, subplot_titles=["seconds", "MB above the start"])
    for axis, sizes in AXES.items():
        times = [size / BASE[axis] for size in sizes]
        for column, name, unit in ((1, "seconds", 1), (2, "bytes", 1e6)):
            values = [each[name] / unit for each in found[axis]]
            figure.add_scatter(x=times, y=values, name=axis, row=1, col=column, showlegend=column == 1)
    figure.update_xaxes(type="log", title="times the base")
    figure.update_yaxes(type="log")
    figure.write_html(path)


if __name__ == "__main__":
    main()
