"""What a computation cost: seconds per stage and the peak of memory."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter

import psutil
import torch


class Stopwatch:
    """Seconds spent per stage, summed over visits; nested visits count for the inner stage alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside the context for `name`."""
        self._settle()
        self._open.append(name)
        try:
            yield
        finally:
            self._settle()
            self._open.pop()

    def _settle(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = perf_counter()
        if self._open:
            name = self._open[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now


class PeakMemory:
    """The highest memory of this process, or of its GPUs, since the object was made, in bytes.

    On Linux the kernel's high-water mark is reset first; where it cannot be, the figure is that of the
    process's whole life, and on systems without such a mark that of now.
    """

    def __init__(self) -> None:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        for device in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(device)

    def bytes(self) -> int:
        """Resident bytes at the peak, or allocated bytes summed over GPUs where the model runs on them."""
        if torch.cuda.is_available():
            return sum(torch.cuda.max_memory_allocated(i) for i in range(torch.cuda.device_count()))
        status = Path("/proc/self/status")
        if status.exists():
            line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
            return int(line.split()[1]) * 1024
        memory = psutil.Process().memory_info()
        return getattr(memory, "peak_wset", memory.rss)
