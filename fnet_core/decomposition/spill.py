"""Arrays kept on disk between two passes, so that memory does not grow with the number of subjects."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from fnet_core.storage.artifacts import disk_errors, home


class Spill:
    """An append-only list of (T, N) arrays in a nameless temporary file, kept as float16.

    The file has no name, so the system frees it however the process ends. One array at a time is written in the
    background; a full disk raises RequestError at the next call. Float16 keeps three digits of the z-scored
    activations, which reach a few dozen.
    """

    def __init__(self) -> None:
        self._shapes: list[tuple[int, int]] = []
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="spill")
        self._pending: Future[None] | None = None

    def __enter__(self) -> "Spill":
        with disk_errors(home()):
            self._file = tempfile.TemporaryFile(dir=home())
        return self

    def __exit__(self, *exception) -> None:
        self._writer.shutdown()
        with suppress(OSError):
            self._file.close()

    def __len__(self) -> int:
        return len(self._shapes)

    def append(self, array_TN: Tensor) -> None:
        """Write a copy of one array behind the others, once the one before is written."""
        self._settle()
        self._pending = self._writer.submit(self._write, array_TN.half().cpu().numpy())
        tokens, signals = array_TN.shape
        self._shapes.append((tokens, signals))

    def _write(self, array: np.ndarray) -> None:
        self._file.write(array.data)
        self._file.flush()

    def _settle(self) -> None:
        """Wait for the pending write and raise what it raised."""
        pending, self._pending = self._pending, None
        if pending is not None:
            with disk_errors(home()):
                pending.result()

    def __iter__(self) -> Iterator[Tensor]:
        """The arrays in order, as float32 on the CPU."""
        self._settle()
        self._file.seek(0)
        for shape in self._shapes:
            array = np.empty(shape, dtype=np.float16)
            self._file.readinto(array.data)
            yield torch.from_numpy(array).float()
