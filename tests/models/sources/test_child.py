"""Child processes: their output and status, and that a cancel leaves none of them, nor of theirs, alive."""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def test_a_killed_program_tells_its_signal():
    program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert run_child([sys.executable, "-c", program], lambda _: None).status == -signal.SIGKILL


PARENT = f"""
from fnet_core.models.sources.child import run_child
import sys
run_child([sys.executable, "-c", {NESTED!r}], lambda output: print(output, flush=True) if output else None)
"""


def test_children_end_within_a_second_of_a_killed_parent_and_leave_no_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=root) as parent:
        assert parent.stdout.readline() == b"started\n"
        below = psutil.Process(parent.pid).children(recursive=True)
        assert len(below) == 3, "the guard, its child and its grandchild"
        parent.kill()
        deadline = time.monotonic() + 1
        while (alive := [process for process in below if _runs(process)]) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert not alive and not list(tmp_path.iterdir())


def _runs(process: psutil.Process) -> bool:
    """Whether it still does; a dead one stays in the list until somebody asks how it ended."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_folder_for_temporary_files_stays_empty(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []
    run_child([sys.executable, "-c", "import time; time.sleep(1)"], lambda _: seen.append(list(tmp_path.iterdir())))
    assert seen and not any(seen)
