"""Arguments of `prune` for tasks of lm-evaluation-harness, before and after."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from fnet_core.evaluation.harness import SUBSET, check_harness, check_items
from fnet_core.progress import Report

if TYPE_CHECKING:
    from fnet_core.models.loading import LoadedModel
    from fnet_core.pruning.masking import Pruning


def add_harness(parser: argparse.ArgumentParser) -> None:
    """--lm-eval and --lm-eval-items."""
    parser.add_argument(
        "--lm-eval", metavar="TASKS", help="tasks of lm-evaluation-harness, comma between, before and after"
    )
    parser.add_argument("--lm-eval-items", type=int, metavar="N", default=SUBSET, help=f"of each (default {SUBSET})")


def tasks_of(options: argparse.Namespace) -> list[str]:
    """The tasks that are asked for; RequestError where they cannot be run at all."""
    check_items(options.lm_eval_items)
    if options.lm_eval is None:
        return []
    tasks = [task.strip() for task in options.lm_eval.split(",")]
    check_harness(tasks)
    return tasks


def run_tasks(
    loaded: LoadedModel, pruning: Pruning, tasks: list[str], items: int, report: Report
) -> list[dict[str, Any]]:
    """What the model scores in each task before and after, as JSON."""
    from fnet_core.evaluation.harness import task_scores
    from fnet_core.pruning.masking import masking

    scores = []
    arounds: tuple[AbstractContextManager, ...] = (nullcontext(), masking(loaded, pruning))
    for number, around in enumerate(arounds):
        report("tasks", number / 2)
        with around:
            scores.append(task_scores(loaded, tasks, items))
    report("tasks", 1.0)
    return [
        {"task": a.task, "metric": a.metric, "before": a.summary(), "after": b.summary()}
        for a, b in zip(*scores, strict=True)
    ]


def task_lines(rows: list[dict[str, Any]]) -> list[str]:
    """One line for each metric of each task, for people."""
    return [f"{row['task']} {row['metric']}: {_spoken(row['before'])} to {_spoken(row['after'])}" for row in rows]


def _spoken(score: dict[str, Any]) -> str:
    interval = score["interval"]
    return f"{score['value']:.3f}" + (f" (95 % {interval[0]:.3f} to {interval[1]:.3f})" if interval else "")
