"""Waiting for others without becoming deaf to cancel: between threads and between processes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from fnet_core.progress import POLL_SECONDS, Report
from fnet_core.storage.artifacts import home


@contextmanager
def exclusive(name: str, report: Report) -> Iterator[None]:
    """Hold the cache folder's lock `name`; while another process holds it, `report` may cancel."""
    folder = home() / "locks"
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    while not _locked(lock):
        report("waiting for another download", 0.0)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def turn(lock: threading.Lock, report: Report) -> Iterator[None]:
    """Hold a lock of this process; while another thread holds it, `report` may cancel."""
    while not lock.acquire(timeout=POLL_SECONDS):
        report("waiting for another model", 0.0)
    try:
        yield
    finally:
        lock.release()


def _locked(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=POLL_SECONDS)
    except Timeout:
        return False
    return True
