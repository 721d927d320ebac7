"""Train a pruned model for some steps, so that it gets back what the cut took, and see its perplexity on the way.

The training has a copy of its own in memory: one that is stopped leaves nothing behind and is begun anew, by the seed
with the same windows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from fnet_core.derivation.finetune import chosen, text_ids, train_by
from fnet_core.derivation.recovering import COPIES, How, RecoveryRequest
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PerplexityResult, measure
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.models.loading import LoadedModel
from fnet_core.models.memory import available_memory, estimate, gigabytes
from fnet_core.models.running import main_device
from fnet_core.progress import Report, silent
from fnet_core.pruning.export import pruned_copy
from fnet_core.pruning.masking import Pruning, prepare
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.scores import ScoreRequest

LOOKS = 4
"""How often the perplexity is measured while the training goes on, the end counted."""


@dataclass(frozen=True, eq=False)
class Recovery:
    """Perplexity of a pruned model as it was trained; so far, until it is done."""

    request: RecoveryRequest
    curve: tuple[tuple[int, PerplexityResult], ...]
    """(steps taken, perplexity), the first before any."""
    tokens: int
    """Tokens of the text that windows are drawn from."""
    model: PreTrainedModel | None = None
    """The trained model, float32; None before the end."""

    @property
    def before(self) -> PerplexityResult:
        """Of the pruned model, untrained."""
        return self.curve[0][1]

    @property
    def after(self) -> PerplexityResult:
        """After the last steps measured."""
        return self.curve[-1][1]

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line, and what a card says."""
        return {
            "how": self.request.how,
            "steps": self.request.training.steps,
            "learning_rate": self.request.training.learning_rate,
            "window": self.request.training.window,
            "batch": self.request.training.batch,
            "rank": self.request.training.rank if self.request.how == "lora" else None,
            "seed": self.request.seed,
            "texts": sorted({passage.source for passage in self.request.passages}),
            "text_tokens": self.tokens,
            "curve": [[step, found.value if found.finite else None] for step, found in self.curve],
            "before": self.before.summary(),
            "after": self.after.summary(),
        }


def recover(
    loaded: LoadedModel,
    pruning: Pruning,
    request: RecoveryRequest,
    yardstick: Yardstick,
    report: Report = silent,
    publish: Callable[[Recovery], None] = lambda so_far: None,
) -> Recovery:
    """Train what a pruning leaves of a model, in a copy; `publish` gets the perplexities so far.

    RequestError for text that is too short, a loss that becomes infinite, and memory that has no room.
    """
    ids = check_text(loaded, request)
    _check_memory(loaded, request.how)
    prefix, training = chosen(loaded, request.how, request.training)
    request = replace(request, training=training)
    report("cutting", 0.0)
    model = pruned_copy(loaded, pruning, report, torch.float32)
    model.to(main_device(loaded.model))  # type: ignore[arg-type]  # transformers wraps `to` so that it looks unbound
    copy = replace(loaded, model=model, dtype="float32")
    looks = {round(training.steps * look / LOOKS) for look in range(1, LOOKS + 1)}
    found = Recovery(request, (), len(ids))

    def look(step: int) -> None:
        nonlocal found
        if step and step not in looks:
            return
        at = step / training.steps
        *_, perplexity = measure(
            copy,
            yardstick.passages,
            definition=yardstick.definition,
            window=yardstick.window,
            stride=yardstick.stride,
            report=lambda stage, fraction: report("training", at),
        )
        found = replace(found, curve=(*found.curve, (step, perplexity)))
        publish(found)

    look(0)
    train_by(copy, ids, prefix, request.how, training, request.seed, report, look)
    return replace(found, model=model)


def check_text(loaded: LoadedModel, request: RecoveryRequest) -> Tensor:
    """The tokens to train on; RequestError for too few of them, before anything is scored or trained."""
    return text_ids(loaded, request.passages)


def random_twin(loaded: LoadedModel, pruning: Pruning, request: ScoreRequest, report: Report = silent) -> Pruning:
    """As much cut by a seeded draw, with nothing that stands in: what training alone makes of any cut."""
    asked = pruning.plan.request
    if asked.ratio is None:
        asked = replace(asked, ratio=pruning.plan.removed_share, threshold=None, share="neurons")
    method = "layer-random" if asked.of_layers else "random"
    plan = plan_for(loaded, replace(asked, method=method, compensation="none"), request, report)
    return prepare(loaded, plan, "none", request, report)


def told(recovered: Recovery, control: Recovery | None) -> list[str]:
    """What a recovery came to, and the random cut after as many steps, in lines for people."""
    steps = f"{recovered.request.training.steps} steps of {recovered.request.how}"
    lines = [f"recovered  {recovered.before.value:.4g} to {recovered.after.value:.4g} in {steps}"]
    if control is not None:
        lines.append(
            f"at random  {control.before.value:.4g} to {control.after.value:.4g} in as many, from a random cut"
        )
    return lines


def _check_memory(loaded: LoadedModel, how: How) -> None:
    needed, free = COPIES[how] * estimate(loaded.path, torch.float32).weight_bytes, available_memory()
    if needed > free:
        raise RequestError(
            f"Training the pruned model needs {gigabytes(needed)} of memory and {gigabytes(free)} are free; close "
            "other models" + (", or train adapters (lora)." if how == "finetune" else " or choose a smaller one.")
        )
