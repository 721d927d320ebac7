"""Files and folders appear only when complete; what a killed process left behind goes, and nothing else does."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.folders import everything_below

from fnet_core.cli.main import main
from fnet_core.errors import Cancelled
from fnet_core.storage import artifacts

MEGABYTE = 1024 * 1024
ROOT = Path(__file__).parents[2]


def test_file_is_replaced_only_when_complete(tmp_path):
    path = tmp_path / "new" / "result"
    with artifacts.atomic_file(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "one"
    with pytest.raises(Cancelled), artifacts.atomic_file(path) as temporary:
        temporary.write_text("two")
        raise Cancelled
    assert path.read_text() == "one"
    assert everything_below(tmp_path / "new") == ["result"]


def test_folder_appears_only_when_complete(tmp_path):
    path = tmp_path / "exports" / "model"
    with pytest.raises(KeyError), artifacts.atomic_folder(path) as temporary:
        (temporary / "half").write_text("half")
        raise KeyError
    assert everything_below(tmp_path / "exports") == []
    with artifacts.atomic_folder(path) as temporary:
        (temporary / "deep").mkdir()
        (temporary / "deep" / "weights").write_text("first")
        assert not path.exists()
    assert everything_below(tmp_path / "exports") == ["model", "model/deep", "model/deep/weights"]


def test_the_first_of_two_folders_is_kept(tmp_path):
    path = tmp_path / "exports" / "model"
    with artifacts.atomic_folder(path) as slow:
        (slow / "weights").write_text("slow")
        with artifacts.atomic_folder(path) as quick:
            (quick / "weights").write_text("quick")
    assert (path / "weights").read_text() == "quick"
    assert everything_below(tmp_path / "exports") == ["model", "model/weights"]


def test_concurrent_writers_never_show_a_mixture(tmp_path):
    path = tmp_path / "result"
    contents = {bytes([letter]) * MEGABYTE for letter in b"abc"}
    seen, stop = set(), threading.Event()

    def write(content: bytes) -> None:
        for _ in range(5):
            with artifacts.atomic_file(path) as temporary:
                temporary.write_bytes(content)

    def read() -> None:
        while not stop.is_set():
            if path.exists():
                seen.add(path.read_bytes())

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert seen <= contents
    assert everything_below(tmp_path) == ["cache", "result"]


INTERRUPTED = """
import sys, time
from pathlib import Path
from safetensors import SafetensorError

from fnet_core.storage import artifacts
path = Path(sys.argv[2])
if sys.argv[1] == "file":
    with artifacts.atomic_file(path) as temporary:
        with open(temporary, "wb") as file:
            file.write(b"half of an atlas")
            file.flush()
            print("writing", flush=True)
            time.sleep(60)
else:
    with artifacts.atomic_folder(path) as temporary:
        (temporary / "weights").write_text("half")
        print("writing", flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("what", ["file", "folder"])
def test_killed_while_writing_leaves_nothing_to_read(what, cache):
    path = artifacts.artifact_path("atlas", "k1")
    command = [sys.executable, "-c", INTERRUPTED, what, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        assert artifacts.sweep() == []
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not path.exists()
    assert artifacts.list_artifacts("atlas") == []
    (leftover,) = path.parent.iterdir()
    assert artifacts.sweep() == [leftover]
    assert everything_below(cache) == ["atlas"]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_a_kill_left_outside_the_cache_folder_goes_with_the_next_command(what, cache, tmp_path):
    path = tmp_path / "elsewhere" / "saved"
    command = [sys.executable, "-c", INTERRUPTED, what, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        assert artifacts.sweep() == []
        process.kill()
    (leftover,) = path.parent.iterdir()
    assert main(["models", "--json"]) == 0
    assert not leftover.exists() and not everything_below(cache)
    assert artifacts.sweep() == []


def test_a_save_outside_the_cache_folder_leaves_no_note(cache, tmp_path):
    with artifacts.atomic_folder(tmp_path / "saved") as temporary:
        (temporary / "weights").write_text("whole")
        assert len(everything_below(cache)) == 1
        assert artifacts.sweep() == []
    assert not everything_below(cache) and everything_below(tmp_path / "saved") == ["weights"]


@pytest.mark.parametrize("target", ["kept", ".kept.part"])
def test_a_note_that_names_another_file_removes_nothing(target, cache, tmp_path):
    (tmp_path / target).write_text("mine")
    (cache / f".x.{'0' * 8}-1-{'0' * 8}.part.note").symlink_to(tmp_path / target)
    assert artifacts.sweep() == [] and (tmp_path / target).read_text() == "mine"


def test_a_note_of_another_machine_waits_a_day(cache, tmp_path):
    theirs = tmp_path / f".x.{'0' * 8}-1-{'0' * 8}.part"
    note = cache / f"{theirs.name}.note"
    note.symlink_to(theirs)
    assert artifacts.sweep() == [] and note.is_symlink()
    a_day_ago = note.lstat().st_mtime - 25 * 3600
    os.utime(note, (a_day_ago, a_day_ago), follow_symlinks=False)
    assert artifacts.sweep() == [] and not note.is_symlink()


def test_sweep_spares_what_is_being_written_and_complete(cache):
    with artifacts.atomic_file(cache / "result") as temporary:
        temporary.write_text("mine")
        (cache / "other.part").write_text("not a leftover")
        assert artifacts.sweep() == []
    # The same name after a crash: the process id is in use again, by this process.
    temporary.write_text("left by an earlier process with this id")
    assert artifacts.sweep() == [temporary]
    assert everything_below(cache) == ["other.part", "result"]


def test_sweep_waits_a_day_for_another_machine(cache):
    with artifacts.atomic_file(cache / "result") as temporary:
        temporary.write_text("mine")
    head, host_and_pid, _ = temporary.name.rsplit(".", 2)
    foreign = cache / f"{head}.{'0' * 8}{host_and_pid[8:]}.part"
    foreign.write_text("theirs")
    assert artifacts.sweep() == []
    a_day_ago = foreign.stat().st_mtime - 25 * 3600
    os.utime(foreign, (a_day_ago, a_day_ago))
    assert artifacts.sweep() == [foreign]
