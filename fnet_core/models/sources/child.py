"""Run another program, look at it ten times a second, and kill it with everything it started."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fnet_core.models.sources import guard
from fnet_core.progress import POLL_SECONDS


@dataclass(frozen=True)
class Finished:
    """How a program ended: its exit status (negative: the signal) and all it wrote to stdout and stderr."""

    status: int
    output: str


def run_child(command: Sequence[str], watch: Callable[[str], None], env: dict[str, str] | None = None) -> Finished:
    """Run `command` without a shell; `watch` gets the output so far, and what it raises kills the program.

    It dies with the calling process too, and all that it started (see `guard`); its output is in a file without a name,
    so nothing stays behind. FileNotFoundError if there is no such program.
    """
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=os.name != "nt",
        )
        assert process.stdin is not None
        with process.stdin:
            try:
                while not _ends_within(process, POLL_SECONDS):
                    watch(_read(output))
            finally:
                if process.poll() is None:
                    _kill(process)
        return Finished(process.returncode, _read(output))


def run_module(module: str, arguments: Sequence[str | Path], watch: Callable[[str], None]) -> Finished:
    """`run_child` for a module of this package, found wherever the calling process was started; its bars are read."""
    root = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return run_child(command, watch, os.environ | {"PYTHONPATH": path, "HF_HUB_DISABLE_PROGRESS_BARS": "0"})


def _ends_within(process: subprocess.Popen, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill(process: subprocess.Popen) -> None:
    if os.name == "nt":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(output: BinaryIO) -> str:
    """All that was written; the position, at which the program goes on writing, stays where it is."""
    handle = output.fileno()
    return os.pread(handle, os.fstat(handle).st_size, 0).decode("utf-8", "replace").replace("\r", "\n")
