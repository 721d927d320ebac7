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
        self._buffer = torch.empty(0, dtype=torch.float16)

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
        tokens, signals = array_TN.shape
        copy = self._place(tokens, signals).copy_(array_TN)
        self._pending = self._writer.submit(self._write, copy.numpy())
        self._shapes.append((tokens, signals))

    def _place(self, tokens: int, signals: int) -> Tensor:
        """Room for one array, the same for all of them, since fresh memory costs as much as the copy."""
        if self._buffer.numel() < tokens * signals:
            self._buffer = torch.empty(tokens * signals, dtype=torch.float16)
        return self._buffer[: tokens * signals].view(tokens, signals)

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
        return (array_TN.float() for array_TN in self.halves())

    def halves(self) -> Iterator[Tensor]:
        """The arrays in order, as float16 on the CPU; each holds until the next is asked for."""
        self._settle()
        self._file.seek(0)
        for tokens, signals in self._shapes:
            array_TN = self._place(tokens, signals)
            self._file.readinto(array_TN.numpy().data)
            yield array_TN
