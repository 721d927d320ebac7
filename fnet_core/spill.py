"""Arrays kept on disk between two passes, so that memory does not grow with the number of subjects."""

import tempfile
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from fnet_core.store import disk_errors, home


class Spill:
    """An append-only list of (T, N) arrays in a nameless temporary file, kept as float16.

    The file has no name, so the system frees it however the process ends. Raises RequestError when the
    disk is full. Float16 keeps three digits of the z-scored activations, which reach a few dozen.
    """

    def __init__(self) -> None:
        self._shapes: list[tuple[int, int]] = []

    def __enter__(self) -> "Spill":
        with disk_errors(home()):
            self._file = tempfile.TemporaryFile(dir=home())
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._shapes)

    def append(self, array_TN: Tensor) -> None:
        """Write one array behind the others."""
        with disk_errors(home()):
            self._file.write(array_TN.half().cpu().numpy().data)
            self._file.flush()
        self._shapes.append(tuple(array_TN.shape))

    def __iter__(self) -> Iterator[Tensor]:
        """The arrays in order, as float32 on the CPU."""
        self._file.seek(0)
        for shape in self._shapes:
            array = np.empty(shape, dtype=np.float16)
            self._file.readinto(array.data)
            yield torch.from_numpy(array).float()
