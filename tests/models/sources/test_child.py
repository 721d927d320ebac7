"""Child processes: their output and status, and that a cancel leaves none of them, nor of theirs, alive."""

import sys
import time

import psutil
import pytest

from fnet_core.errors import Cancelled
from fnet_core.models.sources.child import run_child

NESTED = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)  # grandchild"])
print("started", flush=True)
time.sleep(60)
"""


def test_output_and_status():
    program = "import sys; print('out'); print('bar 1\\rbar 2', file=sys.stderr); sys.exit(7)"
    finished = run_child([sys.executable, "-c", program], lambda _: None)
    assert finished.status == 7
    assert sorted(finished.output.split()) == ["1", "2", "bar", "bar", "out"]


def test_a_cancel_kills_the_whole_group():
    """The grandchild would sleep for a minute."""

    def watch(output: str) -> None:
        if "started" in output:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_child([sys.executable, "-c", NESTED], watch)
    deadline = time.monotonic() + 20
    while (left := _left()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def _left() -> list[list[str]]:
    """Command lines of the test's processes that still run."""
    running = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [line for line in running if any("# grandchild" in part for part in line[-1:]) or line[-1:] == [NESTED]]


def test_a_program_that_does_not_exist():
    with pytest.raises(FileNotFoundError):
        run_child(["no-such-program-here"], lambda _: None)


def test_nothing_is_run_by_a_shell():
    finished = run_child([sys.executable, "-c", "import sys; print(sys.argv[1])", "$HOME; echo x"], lambda _: None)
    assert finished.output.strip() == "$HOME; echo x"
