"""What a command shows on the way and at its end: drawn by rich on a terminal, plain lines anywhere else."""

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

from fnet_core.progress import Report, duration, silent
from fnet_core.time_left import Pace
from fnet_core.visible import visible, visible_json


@dataclass(frozen=True)
class Table:
    """A table of a command's result: its cells for a terminal, and the lines that stand for it elsewhere."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...]
    numbers: int = 0
    """How many columns at the left are set to the right, as numbers are."""


def number_table(titles: Sequence[str], widths: Sequence[int], rows: Sequence[Sequence[str]]) -> Table:
    """Columns of numbers of these widths in characters, and a last column of words as wide as it happens to be."""
    lines = []
    for row in (titles, *rows):
        numbers = [f"{cell:>{width}}" for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*numbers, *row[len(widths) :]]))
    return Table(tuple(titles), tuple(tuple(row) for row in rows), tuple(lines), len(widths))


def hush_libraries(quiet: bool) -> None:
    """Keep the bars of libraries that are not loaded yet off stderr, where FNet draws its own; if quiet, words too."""
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    if quiet:
        os.environ["TRANSFORMERS_VERBOSITY"] = os.environ["HF_HUB_VERBOSITY"] = "error"
        os.environ["PYTHONWARNINGS"] = "ignore"
        warnings.simplefilter("ignore")


def show(parts: Sequence[str | Table]) -> None:
    """Print the lines and tables of a result on stdout."""
    for part in parts:
        if isinstance(part, Table) and sys.stdout.isatty():
            _draw(part)
        else:
            print("\n".join(map(visible, part.lines if isinstance(part, Table) else [part])))


def show_json(result: dict[str, Any]) -> None:
    """Print a result as one JSON object on stdout."""
    print(visible_json(json.dumps(result, ensure_ascii=False, allow_nan=False)))


def _draw(table: Table) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, title in enumerate(table.titles):
        number = index < table.numbers
        drawn.add_column(Text(title), justify="right" if number else "left", no_wrap=number, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(visible(cell)) for cell in row))
    Console(file=sys.stdout).print(drawn)


@contextmanager
def progress(quiet: bool, stages: Callable[[], dict[str, float]]) -> Iterator[Report]:
    """What a command reports to: a bar on stderr where that is a terminal, else a line per stage, or nothing.

    `stages` gives the stages and their relative lengths; it is called where a bar is drawn.
    """
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bar(stages()) as report:
            yield report
    else:
        yield _stage_lines()


def _stage_lines() -> Report:
    last = ""

    def report(stage: str, fraction: float) -> None:
        nonlocal last
        if stage != last:
            print(visible(stage), file=sys.stderr, flush=True)
        last = stage

    return report


@contextmanager
def _bar(weights: dict[str, float]) -> Iterator[Report]:
    """One bar for the whole of a command, from the first report on, which is gone at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.text import Text

    pace = Pace(weights)

    class Left(ProgressColumn):
        """The time left as it is judged at the moment of drawing."""

        def render(self, task: Task) -> Text:
            left = pace.seconds_left(monotonic())
            return Text("" if left is None else f"about {duration(left)} left")

    drawn = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[share]}", markup=False),
        Left(),
        console=Console(file=sys.stderr),
        transient=True,
        redirect_stdout=False,
    )
    task = drawn.add_task("", total=None, share="")

    last = ""

    def report(stage: str, fraction: float) -> None:
        nonlocal last
        pace.update(stage, fraction, monotonic())
        counted = pace.counts(stage)
        drawn.update(
            task,
            description=visible(stage),
            total=1.0 if counted or pace.fraction else None,
            completed=pace.fraction,
            share=f"{pace.fraction:4.0%}" if counted else f"{fraction:4.0%} of this" if fraction else "",
        )
        drawn.start()
        if stage != last:
            drawn.refresh()
        last = stage

    try:
        yield report
    finally:
        drawn.stop()
