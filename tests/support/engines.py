"""An engine on this machine: `fnet worker --scheduler` in a process of its own, with a cache folder of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PATH = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
START_SECONDS = 60


@contextmanager
def engine_here(home: Path, *options: str) -> Iterator[str]:
    """The address of a scheduler with workers on loopback, ended with the block."""
    command = [sys.executable, "-m", "fnet_core", "worker", "tcp://127.0.0.1:0", "--scheduler", *options]
    environment = os.environ | {"FNET_HOME": str(home), "PYTHONPATH": _PATH}
    environment.pop("FNET_ENGINE", None)
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("engine at "), line
        yield line.split()[2].rstrip(":")
    finally:
        process.terminate()
        process.communicate(timeout=START_SECONDS)
    assert process.returncode == 0
