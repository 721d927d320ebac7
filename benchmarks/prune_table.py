"""Perplexity by pruning method, compensation, ratio and calibration size on text that nothing was chosen on.

    python -m benchmarks.prune_table [MODEL ...] --text wiki.test.raw [--measure] [--sizes small large] [--draws 3]
                                     [--contenders] [--dtype bfloat16|float32]

`--measure` measures what is missing, the most telling first, and keeps each cell as JSON in `benchmarks/measured`, so
that it can be stopped and goes on; without it what is there is printed, and a gap where nothing is. `--contenders`
leaves out what is of the first draw alone. The first 60 windows of 512 tokens are read, in bfloat16, which takes half
the time of float32 where the processor multiplies it (`--dtype float32`). A draw of small calibration text is so many
bundled passages, of large one articles from the text's end; draws share none. Every cell is the model cut and folded,
as it would be saved. Intervals are paired over windows, the draws averaged; times are processor seconds.
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from itertools import product

from benchmarks.prune_cells import (
    BASELINES,
    CONTENDERS,
    DTYPES,
    SELECTIONS,
    STAND_INS,
    TOKENS,
    Cell,
    cells,
    measure,
    result,
    study_of,
    untouched_cell,
)
from fnet_core import texts
from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.evaluation.perplexity import ratio as paired_ratio

STARTERS = ("smollm2-135m", "gemma3-270m")
OURS = {"networks", "obs-networks", "blend"}
RATIOS = (0.2, 0.1, 0.3, 0.5)


def _value(found: PerplexityResult | None) -> float:
    return found.value if found else float("nan")


class Row:
    """One method with one compensation at one ratio, over the draws that were measured."""

    def __init__(self, study: str, model: str, size: str, draws: int, ratio: float, pair: tuple[str, str]) -> None:
        every = [Cell(study, model, size, draw, ratio, *pair) for draw in range(draws)]
        self.pair, self.draws = pair, [cell for cell in every if cell.read() is not None]

    @property
    def value(self) -> float:
        """Mean perplexity over draws, as the mean log loss has it; NaN where none was measured."""
        return _value(result(*self.draws))

    def over(self, other: "Row") -> str:
        """This one's perplexity over another's on the draws that both have, with the paired interval."""
        shared = {cell.draw for cell in self.draws} & {cell.draw for cell in other.draws}
        mine, its = (result(*(c for c in row.draws if c.draw in shared)) for row in (self, other))
        if mine is None or its is None:
            return ""
        found = paired_ratio(mine, its)
        low, high = found.interval or (float("nan"),) * 2
        return f"{found.value:.3f}, {low:.3f} to {high:.3f}"

    def told(self, reference: "Row | None") -> str:
        """What stands in the table."""
        if not self.draws:
            return ""
        values = [_value(result(cell)) for cell in self.draws]
        spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
        shown = f"{self.value:.2f}{spread}"
        if reference is None or reference is self:
            return f"**{shown}**" if reference is self else shown
        return f"{shown} ({self.over(reference)})"


def lines(study: str, model: str, size: str, draws: int, ratios: Sequence[float]) -> Iterator[str]:
    """The table of one model and size of calibration text, and what is to be met against what networks give."""
    pairs = list(product(SELECTIONS, STAND_INS))
    rows = {(ratio, pair): Row(study, model, size, draws, ratio, pair) for ratio in ratios for pair in pairs}
    if not any(row.draws for row in rows.values()):
        return
    untouched = result(untouched_cell(study, model))
    measured = [cell for row in rows.values() for cell in row.draws]
    read = sorted({found["calibration_tokens"] for cell in measured if (found := cell.read())})
    most = max(len(row.draws) for row in rows.values())
    yield f"\n{model}, {size} calibration text ({read[0]:,} to {read[-1]:,} tokens, up to {most} draws); untouched "
    yield f"{_value(untouched):.2f} on {untouched.tokens if untouched else 0:,} tokens. In brackets the perplexity over"
    yield "that of the best of FLAP + bias, Wanda-sp + ridge and OBS + ridge (bold) with the paired 95 % interval.\n"
    best = {}
    for ratio in ratios:
        there = [rows[ratio, pair] for pair in BASELINES if rows[ratio, pair].draws]
        best[ratio] = min(there, key=lambda row: row.value, default=None)
    yield "| selection | compensation | " + " | ".join(f"{ratio:.0%}" for ratio in ratios) + " |"
    yield "|---|---|" + "---|" * len(ratios)
    for pair in pairs:
        told = [rows[ratio, pair].told(best[ratio]) for ratio in ratios]
        if any(told):
            yield f"| {pair[0]} | {pair[1]} | " + " | ".join(told) + " |"
    yield ""
    for ratio in ratios:
        ours = [row for (r, pair), row in rows.items() if r == ratio and row.draws and {*pair} & OURS]
        if (reference := best[ratio]) and ours:
            top = min(ours, key=lambda row: row.value)
            missing = sum(not rows[ratio, pair].draws for pair in BASELINES)
            gap = f" ({missing} of the three still to be measured)" if missing else ""
            yield f"- {ratio:.0%}: {' + '.join(top.pair)} over {' + '.join(reference.pair)} {top.over(reference)}{gap}"
    yield from _costs(measured)


def _costs(measured: Sequence[Cell]) -> Iterator[str]:
    """Processor seconds per 1,000 tokens of calibration text, of scoring and of compensation at 20 %."""
    seconds: dict[str, list[float]] = {}
    for cell in measured:
        found = cell.read()
        assert found is not None
        thousands = found["calibration_tokens"] / 1000
        for name, spent in found["seconds"].items():
            if name != "compensation":
                seconds.setdefault(f"scoring by {name}" if name != "gram" else "Gram matrices", []).append(
                    spent / thousands
                )
            elif cell.ratio == 0.2:
                seconds.setdefault(f"compensation {cell.compensation}", []).append(spent / thousands)
    told = [f"{name} {statistics.median(found):.2f}" for name, found in sorted(seconds.items())]
    yield f"- processor seconds per 1,000 tokens of calibration text, medians: {', '.join(told)}"


def main() -> None:
    """Measure what is missing if asked to, and print what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=STARTERS)
    parser.add_argument("--text", required=True, help="wiki.test.raw, or a text in its form")
    parser.add_argument("--measure", action="store_true", help="measure what is missing first")
    parser.add_argument("--sizes", nargs="+", choices=TOKENS, default=list(TOKENS))
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--ratios", type=float, nargs="+", default=RATIOS)
    parser.add_argument("--contenders", action="store_true", help="measure these alone")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16", help="what a cut model is read in")
    options = parser.parse_args()
    (whole,) = texts.whole_file(options.text)
    study = study_of(whole.text, options.dtype)
    if options.measure:
        asked = cells(study, options.models, options.sizes, options.draws, options.ratios)
        wanted = [c for c in asked if not options.contenders or (c.method, c.compensation) in CONTENDERS]
        measure(whole.text, [cell for cell in wanted if cell.read() is None])
    for model, size in product(options.models, options.sizes):
        for line in lines(study, model, size, options.draws, sorted(options.ratios)):
            print(line)


if __name__ == "__main__":
    main()
