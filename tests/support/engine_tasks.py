"""Small tasks for an engine's workers, which find this module on their path."""

import os
import time
from pathlib import Path

from fnet_core.errors import Cancelled, RequestError


def doubled(number: int, report) -> tuple[int, int]:
    """Twice a number, and which process found it."""
    report("doubling", 0.5)
    return 2 * number, os.getpid()


def broken(kind: str, report) -> None:
    """Fails as it is told to."""
    raise RequestError("Not so.") if kind == "refused" else MemoryError("no room\nfor it")


def endless(note: str, report) -> None:
    """Goes on until it is cancelled, which it writes down."""
    try:
        while True:
            report("turning", 0.5)
            time.sleep(0.01)
    except Cancelled:
        Path(note).write_text("cancelled")
        raise


def fatal(report) -> None:
    """Ends its worker."""
    os._exit(1)
