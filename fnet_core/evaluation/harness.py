"""Tasks of lm-evaluation-harness, where it is installed: scores on a subset with their intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fnet_core.checks import check_range
from fnet_core.errors import RequestError, ran_out_of_memory

if TYPE_CHECKING:
    from fnet_core.models.loading import LoadedModel

PACKAGE = "lm_eval"
SUBSET = 100
"""Items of each task, unless asked otherwise."""


@dataclass(frozen=True)
class TaskScore:
    """One metric of one task, with its 95 % interval over the items asked, normal approximation."""

    task: str
    metric: str
    value: float
    interval: tuple[float, float] | None
    """None where the harness gives no standard error."""
    items: int

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line."""
        interval = list(self.interval) if self.interval else None
        return {
            "task": self.task,
            "metric": self.metric,
            "value": self.value,
            "interval": interval,
            "items": self.items,
        }


def check_items(items: int) -> None:
    """RequestError for no item at all."""
    check_range(items, 1, math.inf, f"{items} items of each task are", "choose 1 or more")


def check_harness(tasks: Sequence[str]) -> None:
    """RequestError where lm-evaluation-harness is not installed, and for no task; it is not imported."""
    if find_spec(PACKAGE) is None:
        raise RequestError(
            "lm-evaluation-harness is not installed, which has these tasks; install it with: pip install 'lm_eval[hf]'."
        )
    if not tasks or not all(task.strip() for task in tasks):
        raise RequestError("No task was named; give some of lm-evaluation-harness, such as piqa,arc_easy.")


def task_scores(loaded: "LoadedModel", tasks: Sequence[str], items: int, folder: str | None = None) -> list[TaskScore]:
    """The scores of a model, as it runs at the moment, on the first `items` of each task.

    `folder` holds further task files. RequestError for tasks that do not exist, and where their data cannot be had.
    """
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, max_length=loaded.max_tokens, batch_size=1)
    try:
        found = simple_evaluate(
            model,
            tasks=list(tasks),
            limit=items,
            bootstrap_iters=0,
            task_manager=TaskManager(include_path=folder),
            log_samples=False,
        )
    except Exception as error:  # the harness and the hub raise anything
        if ran_out_of_memory(error):
            raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RequestError(
            f"lm-evaluation-harness could not run {', '.join(tasks)} ({reason[:160]}); check the names and the "
            "connection to the hub, where its data is."
        ) from error
    return scores_of(found["results"], found.get("n-samples", {}))


def scores_of(results: dict[str, dict[str, Any]], samples: dict[str, dict[str, int]]) -> list[TaskScore]:
    """One score for every metric of every task of what the harness gives: "acc,none" beside "acc_stderr,none"."""
    found = []
    for task, metrics in results.items():
        for name, value in metrics.items():
            metric, comma, kind = name.partition(",")
            if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            error = metrics.get(f"{metric}_stderr,{kind}")
            known = isinstance(error, int | float) and math.isfinite(error)
            interval = (value - 1.96 * error, value + 1.96 * error) if error is not None and known else None
            items = samples.get(task, {}).get("effective", 0)
            found.append(
                TaskScore(task, metric if kind == "none" else f"{metric} ({kind})", float(value), interval, items)
            )
    return found
