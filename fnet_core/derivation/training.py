"""How a derived model is trained: the choices and their bounds."""

import math
from dataclasses import dataclass

from fnet_core.checks import check_range

DEFAULT_WINDOW = 256
LEARNING_RATES = {"finetune": 5e-5, "lora": 5e-4, "distil": 1e-3}


@dataclass(frozen=True)
class Training:
    """How to train: steps of `batch` windows of `window` tokens; `rank` is that of LoRA's adapters.

    None stands for the way's own learning rate, and for `DEFAULT_WINDOW` or the model's context if that is less. The
    defaults take about ten minutes on two cores with a model of 100 million parameters.
    """

    steps: int = 200
    learning_rate: float | None = None
    window: int | None = None
    batch: int = 1
    rank: int = 8

    def check(self) -> None:
        """RequestError for a number out of range."""
        for name, value, most in (("steps", self.steps, 1_000_000), ("windows per step", self.batch, 4096)):
            check_range(value, 1, most, f"The number of {name}, {value}, is", f"choose 1 to {most:,}")
        check_range(self.rank, 1, math.inf, f"The rank {self.rank} is", "choose 1 or more, such as 8")
        if self.window is not None:
            what = f"A window of {self.window} tokens is"
            check_range(self.window, 2, math.inf, what, "choose 2 or more, such as 256")
        if self.learning_rate is not None:
            what = f"The learning rate {self.learning_rate:g} is"
            check_range(self.learning_rate, 0, 1, what, "choose above 0 and at most 1, such as 5e-5", "(]")
