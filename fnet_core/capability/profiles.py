"""What a model can do: its answers to a battery, untouched or changed, measured once and then read from the store.

Shape legend: I items, C capabilities.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fnet_core.capability.battery import CHANCE, Battery, title
from fnet_core.capability.scoring import choices, log_likelihoods
from fnet_core.capability.statistics import means, wilson
from fnet_core.drawing import Described, drawn
from fnet_core.models.loading import LoadedModel
from fnet_core.models.running import Running, running
from fnet_core.progress import Report, silent
from fnet_core.storage import artifacts, memo
from fnet_core.storage.memo import Kind

KIND = "capabilities"
FORMAT = METHOD_VERSION = 1

UNCHANGED: tuple[()] = ()
"""What stands for "no change" in the key of a profile."""


@dataclass(frozen=True, eq=False, repr=False)
class Profile(Described):
    """The log-likelihoods that a model gives to every item's two continuations, and what follows from them."""

    recipe: dict[str, Any]
    capabilities: tuple[str, ...]
    capability_I: np.ndarray
    """int16: the capability of each item."""
    right_I: np.ndarray
    """float32, nats: log-likelihood of the right continuation."""
    wrong_I: np.ndarray
    """float32, nats: that of the wrong one."""
    told_I: np.ndarray
    """bool: False for an item that the tokenizer cannot tell apart, or that is longer than the model reads."""

    @property
    def model_name(self) -> str:
        return self.recipe["model"]

    @cached_property
    def answers_I(self) -> np.ndarray:
        """float32: 1 where the right continuation is likelier, 0 the wrong one, 0.5 neither; NaN where left out."""
        with np.errstate(invalid="ignore"):
            margin = self.right_I - self.wrong_I
        answer = np.where(margin > 0, 1.0, np.where(margin < 0, 0.0, 0.5))
        return np.where(self.told_I, answer, np.nan).astype(np.float32)

    @property
    def accuracy_C(self) -> np.ndarray:
        """Share of items answered right, float64; chance is 0.5, NaN where every item was left out."""
        return means(self.answers_I, self.capability_I, len(self.capabilities))

    def table(self) -> pd.DataFrame:
        """One row per capability.

        Columns capability, title, accuracy, low and high (95 %, Wilson), chance, items, left_out, margin. `margin` is
        the mean log-likelihood of the right less the wrong continuation, nats.
        """
        rows = []
        with np.errstate(invalid="ignore"):
            margin_I = self.right_I - self.wrong_I
        for number, name in enumerate(self.capabilities):
            own = self.capability_I == number
            asked = own & self.told_I
            low, high = wilson(float(self.answers_I[asked].sum()), int(asked.sum()))
            margin = float(margin_I[asked].mean()) if asked.any() else np.nan
            left_out = int((own & ~self.told_I).sum())
            rows.append(
                (name, title(name), self.accuracy_C[number], low, high, CHANCE, int(asked.sum()), left_out, margin)
            )
        columns = ["capability", "title", "accuracy", "low", "high", "chance", "items", "left_out", "margin"]
        return pd.DataFrame(rows, columns=columns)

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line; what is not a number is null."""
        return {
            "model": self.model_name,
            "capabilities": [
                {
                    "name": row["capability"],
                    "title": row["title"],
                    "accuracy": _finite(row["accuracy"]),
                    "interval": [row["low"], row["high"]],
                    "chance": row["chance"],
                    "items": row["items"],
                    "left_out": row["left_out"],
                    "margin": _finite(row["margin"]),
                }
                for row in self.table().to_dict("records")
            ],
            "recipe": self.recipe,
        }

    def plot(self) -> Any:
        """The plotly figure of the accuracy in every capability with its interval, beside chance.

        >>> import fnet_core as fn
        >>> len(fn.capabilities("tiny", items=4, only=["sums", "tense"]).plot().data[0].y)
        2
        """
        return drawn("capabilities.profile", self)

    def _description(self) -> tuple[str, dict[str, object]]:
        facts: dict[str, object] = {
            str(row.title): f"{row.accuracy:.2f} (95 % interval {row.low:.2f} to {row.high:.2f}), {row.items} items"
            for row in self.table().itertuples()
        }
        return f"Capabilities of {self.model_name}, chance {CHANCE:g}", facts

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all; RequestError if the disk refuses."""
        header = {"recipe": self.recipe, "capabilities": list(self.capabilities)}
        artifacts.save_artifact(path, KIND, {name: getattr(self, name) for name in _ARRAYS}, header, FORMAT)

    @classmethod
    def load(cls, path: Path) -> "Profile":
        """Read a saved one; RequestError when it is missing, damaged, or of another format."""
        arrays, header = artifacts.load_artifact(path, KIND, FORMAT)
        return cls(header["recipe"], tuple(header["capabilities"]), **{name: arrays[name] for name in _ARRAYS})


_ARRAYS = ("capability_I", "right_I", "wrong_I", "told_I")

PROFILES = Kind(KIND, Profile.load, FORMAT, keyed_since=1, names=frozenset({"model", "asked"}))
"""Profiles in the store."""


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def profile_recipe(model: Running, battery: Battery, changes: Any) -> dict[str, Any]:
    """Everything that decides a profile, JSON-able; `changes` says as JSON what is done to the model."""
    return model.recipe("torch", "transformers") | {
        "battery": battery.digest,
        "asked": battery.asked,
        "changes": artifacts.digest(changes),
        "method_version": METHOD_VERSION,
    }


def profile(
    loaded: LoadedModel,
    battery: Battery,
    changes: Any = UNCHANGED,
    around: Callable[[], AbstractContextManager] = nullcontext,
    report: Report = silent,
) -> Profile:
    """The model's answers inside `around`, from the store or measured; `changes` describes `around` in the key."""
    recipe = profile_recipe(running(loaded), battery, changes)
    return memo.answered(PROFILES, recipe, lambda: _measured(loaded, battery, recipe, around, report)).answer


def _measured(
    loaded: LoadedModel,
    battery: Battery,
    recipe: dict[str, Any],
    around: Callable[[], AbstractContextManager],
    report: Report,
) -> Profile:
    found = choices(loaded, battery.items)
    right_I, wrong_I = log_likelihoods(loaded, found, around, report)
    places = {name: number for number, name in enumerate(battery.capabilities)}
    return Profile(
        recipe,
        battery.capabilities,
        np.array([places[item.capability] for item in battery.items], dtype=np.int16),
        right_I,
        wrong_I,
        np.array([choice is not None for choice in found]),
    )
