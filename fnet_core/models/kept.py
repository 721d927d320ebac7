"""The models that this process keeps in memory for the next request, and when they are let go."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from fnet_core.models.loading import LoadedModel

IDLE_SECONDS = 15 * 60.0
"""A kept model that nobody asked for so long, and that nothing uses, is let go."""


@dataclass
class _Entry:
    loaded: LoadedModel
    asked: float
    """When somebody last asked for it."""


class KeptModels:
    """Loaded models by what tells them apart, the one asked for last at the end; any thread may ask."""

    def __init__(self, idle: float = IDLE_SECONDS) -> None:
        self._idle = idle
        self._table = threading.Lock()
        """Held for moments only: who asks for a kept model does not wait for another to load."""
        self._kept: OrderedDict[Any, _Entry] = OrderedDict()
        self._clock: threading.Timer | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Any) -> LoadedModel | None:
        """The kept model of this key, which is then the one asked for last."""
        with self._table:
            entry = self._kept.get(key)
            if entry is None:
                return None
            self._kept.move_to_end(key)
            entry.asked = monotonic()
            return entry.loaded

    def put(self, key: Any, loaded: LoadedModel) -> None:
        """Keep a model until it is released or nobody has asked for it for a while."""
        with self._table:
            self._kept[key] = _Entry(loaded, monotonic())
            self._wind()

    def release(self, keep: int = 0) -> None:
        """Forget all but the `keep` models asked for last; their memory is free once no computation uses them."""
        with self._table:
            if len(self._kept) <= keep:
                return
            while len(self._kept) > keep:
                self._kept.popitem(last=False)
        collect()

    def release_idle(self) -> None:
        """Forget the models that nobody asked for lately, unless something else still uses them."""
        with self._table:
            now = monotonic()
            old = {key: entry for key, entry in self._kept.items() if now - entry.asked >= self._idle}
            seen = {key: (weakref.ref(each.loaded.model), _without_model(each.loaded)) for key, each in old.items()}
            for key in seen:
                del self._kept[key]
            old.clear()
        if not seen:
            return
        collect()
        with self._table:
            for key, (model, rest) in seen.items():
                used = model()
                if used is not None and key not in self._kept:
                    self._kept[key] = _Entry(replace(rest, model=used), now)
                    self._kept.move_to_end(key, last=False)

    def _wind(self) -> None:
        """See to it that somebody looks for idle models, while there are models."""
        if self._clock is None:
            self._clock = threading.Timer(self._idle, self._look)
            self._clock.daemon = True
            self._clock.start()

    def _look(self) -> None:
        self.release_idle()
        with self._table:
            self._clock = None
            if self._kept:
                self._wind()


def _without_model(loaded: LoadedModel) -> LoadedModel:
    return replace(loaded, model=None)  # type: ignore[arg-type]  # what holds no model keeps none in memory


def collect() -> None:
    """Give memory that nothing uses any more back, the accelerator's too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
