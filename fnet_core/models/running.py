"""A model as recipes name it and what of it decides numbers, from its folder alone or once it is loaded."""

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch

from fnet_core.models.folder import model_digest
from fnet_core.models.loading import LoadedModel
from fnet_core.models.memory import default_dtype, expected_device
from fnet_core.models.resolving import ModelFolder
from fnet_core.storage import memo


@dataclass(frozen=True)
class Running:
    """A model where it runs: the name people know it by, its digest, the type of device, and of number."""

    name: str
    digest: str
    device: str
    dtype: str

    def recipe(self, *packages: str) -> dict[str, Any]:
        """What every recipe begins with, JSON-able: the model, the installed versions of `packages`, and FNet's own."""
        return memo.stamped(
            {
                "model": self.name,
                "model_digest": self.digest,
                "device": self.device,
                "dtype": self.dtype,
                "versions": memo.versions(*packages),
            }
        )


def expected(folder: ModelFolder) -> Running:
    """The model of a folder as it will most likely run; only the loaded model tells for sure."""
    dtype = str(default_dtype()).removeprefix("torch.")
    return Running(folder.name, model_digest(folder.path), expected_device(), dtype)


def running(loaded: LoadedModel) -> Running:
    """A loaded model as it runs."""
    device = _devices.get(loaded.model)
    if device is None:
        device = _devices[loaded.model] = main_device(loaded.model).type
    return Running(loaded.name, loaded.digest, device, loaded.dtype)


_devices: WeakKeyDictionary[torch.nn.Module, str] = WeakKeyDictionary()
"""Kept, since a page asks hundreds of times while it is drawn; a loaded model stays where it is."""


def main_device(model: torch.nn.Module) -> torch.device:
    """The device inputs go to: the first accelerator that holds a part of the model, else the CPU."""
    devices = {p.device for p in model.parameters() if p.device.type not in ("cpu", "meta")}
    return min(devices, key=str, default=torch.device("cpu"))
