"""What is asked of a recovery, before any model is looked at."""

from dataclasses import dataclass
from typing import Literal

from fnet_core.checks import check_choice, check_seed
from fnet_core.derivation.training import Training
from fnet_core.errors import RequestError
from fnet_core.texts import Passage

How = Literal["lora", "finetune"]

COPIES: dict[How, int] = {"lora": 2, "finetune": 4}
"""Every way to train, with how many times the weights must fit in memory, gradients and moments included."""


DEFAULT = Training(steps=100)


@dataclass(frozen=True)
class RecoveryRequest:
    """On what, how and for how long to train; RequestError for numbers out of range and for no text."""

    passages: tuple[Passage, ...]
    training: Training = DEFAULT
    how: How = "lora"
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice(self.how, COPIES, "way to recover")
        check_seed(self.seed)
        self.training.check()
        if not self.passages:
            raise RequestError("There is no text to recover on; give at least a page.")
