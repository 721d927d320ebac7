"""Run another program, look at it ten times a second, and kill it with everything it started."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fnet_core.progress import POLL_SECONDS


@dataclass(frozen=True)
class Finished:
    """How a program ended: its exit status (negative: the signal) and all it wrote to stdout and stderr."""

    status: int
    output: str


def run_child(command: Sequence[str], watch: Callable[[str], None], env: dict[str, str] | None = None) -> Finished:
    """Run `command` without a shell; `watch` gets the output so far, and what it raises kills the program."""
    with tempfile.TemporaryDirectory(prefix="fnet-child-") as folder:
        log = Path(folder, "output")
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=os.name != "nt",
            )
            try:
                while not _ends_within(process, POLL_SECONDS):
                    watch(_read(log))
            finally:
                if process.poll() is None:
                    _kill(process)
        return Finished(process.returncode, _read(log))


def run_module(module: str, arguments: Sequence[str | Path], watch: Callable[[str], None]) -> Finished:
    """`run_child` for a module of this package, found wherever the calling process was started."""
    root = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return run_child(command, watch, os.environ | {"PYTHONPATH": path})


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


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
