"""Work in forked processes, so that one that dies, waits or grows takes nothing else with it."""

import json
import os
import re
import resource
import select
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

Item = TypeVar("Item")
_ROOM = 8 * 10**9
"""Bytes of addresses that a child may take beyond what it begins with: past the 2.5 GB that are counted as too much."""
NOBODY = 65534


def each(
    work: Callable[[Item], dict[str, Any]], items: Sequence[Item], seconds: float, enter: Callable[[], None]
) -> Iterator[tuple[Item, dict[str, Any] | None, str]]:
    """What `work` finds of each item, in a child that is replaced once it dies or takes longer than `seconds`.

    None, and why, for an item that it died of. `enter` is called first in each child.
    """
    left = deque(items)
    while left:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _work_off(work, left, writing, enter)
        os.close(writing)
        try:
            with os.fdopen(reading, "rb", buffering=0) as results:
                for line in _lines(results, seconds):
                    yield left.popleft(), json.loads(line), ""
                    if not left:
                        break
        finally:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        if left:
            died = os.waitstatus_to_exitcode(status)
            yield left.popleft(), None, "took too long" if died == -signal.SIGKILL else f"ended with {died}"


def once(work: Callable[[], Any], seconds: float = 60.0, kill_after: float | None = None) -> tuple[int, Any]:
    """How a child ended that did this work once, and what it found; killed after `kill_after` seconds if given."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        status = 70
        try:
            os.write(writing, json.dumps(work()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    end = time.monotonic() + min(seconds, kill_after if kill_after is not None else seconds)
    found = b""
    with os.fdopen(reading, "rb", buffering=0) as result:
        while _ready(result, end - time.monotonic()) and (block := result.read(1 << 16)):
            found += block
    if not found and time.monotonic() >= end:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    ended = os.waitstatus_to_exitcode(status)
    return ended, json.loads(found) if ended == 0 else None


def limit_memory() -> None:
    """Let this process take so much more and no more, whatever an input asks for."""
    room = status_bytes("VmSize") + _ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, room))


def begin_peak() -> int:
    """Forget the most memory that this process ever held, and return what it holds now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return status_bytes("VmRSS")


def peak() -> int:
    """The most memory that this process held since `begin_peak`, in bytes."""
    return status_bytes("VmHWM")


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Give the folder to a user without rights and be that one for a while, so that permissions count for root too."""
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def _work_off(work: Callable[[Any], dict[str, Any]], items: Sequence[Any], writing: int, enter: Callable[[], None]):
    try:
        enter()
        for item in items:
            os.write(writing, json.dumps(work(item)).encode() + b"\n")
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(70)


def _lines(results: Any, seconds: float) -> Iterator[bytes]:
    held, end = b"", time.monotonic() + seconds
    while _ready(results, end - time.monotonic()) and (block := results.read(1 << 16)):
        held += block
        while b"\n" in held:
            line, _, held = held.partition(b"\n")
            yield line
            end = time.monotonic() + seconds


def _ready(file: Any, seconds: float) -> bool:
    return bool(select.select([file], [], [], max(seconds, 0.0))[0])


def status_bytes(name: str) -> int:
    """A figure of this process that the system gives in kB, in bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
