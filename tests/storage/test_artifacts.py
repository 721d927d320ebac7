"""Artifacts: what is read back is what was saved, and nothing half-written is ever read."""

import errno
import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save
from support.arrays import atlas_like

from fnet_core.cli.main import main
from fnet_core.errors import Cancelled, RequestError
from fnet_core.storage import artifacts

MEGABYTE = 1024 * 1024
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FNET_HOME", str(tmp_path / "cache"))
    return artifacts.home()


def everything_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# home and digests


def test_home_is_the_folder_named_by_the_environment_or_the_systems(tmp_path, monkeypatch):
    assert artifacts.home() == tmp_path / "cache"
    monkeypatch.setenv("FNET_HOME", "")
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "system" / name))
    assert artifacts.home() == tmp_path / "system" / "fnet"
    assert (tmp_path / "system" / "fnet").is_dir()


def test_home_that_cannot_be_written_is_a_request_error(tmp_path, monkeypatch):
    sentence = f"The cache folder {tmp_path}/taken is not writable; set FNET_HOME to a folder that is."
    (tmp_path / "taken").write_text("a file, not a folder")
    monkeypatch.setenv("FNET_HOME", str(tmp_path / "taken"))
    with pytest.raises(RequestError) as error:
        artifacts.home()
    assert str(error.value) == sentence

    monkeypatch.setenv("FNET_HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RequestError, match="not writable"):
        artifacts.home()


def test_digest_is_sha256_of_sorted_compact_json():
    expected = hashlib.sha256(b'{"a":[1,2.5,null],"b":{"c":"\\u00e9","d":true}}').hexdigest()
    assert artifacts.digest({"b": {"d": True, "c": "é"}, "a": (1, 2.5, None)}) == expected
    assert artifacts.digest({"b": {"d": True, "c": "é"}, "a": [1, 2.5, 0]}) != expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, {"x": float("-inf")}]])
def test_digest_refuses_numbers_that_are_not_json(value):
    with pytest.raises(ValueError):
        artifacts.digest(value)


def test_file_digest_reads_in_blocks_of_8_megabytes(tmp_path):
    content = np.random.default_rng(0).bytes(20 * MEGABYTE)
    (tmp_path / "weights").write_bytes(content)
    reports = []
    found = artifacts.file_digest(tmp_path / "weights", lambda stage, fraction: reports.append((stage, fraction)))
    assert found == hashlib.sha256(content).hexdigest()
    assert reports == [("checking", 0.4), ("checking", 0.8), ("checking", 1.0)]


def test_file_digest_can_be_cancelled_and_names_a_missing_file(tmp_path):
    (tmp_path / "weights").write_bytes(b"abc")

    def stop(stage, fraction):
        raise Cancelled

    with pytest.raises(Cancelled):
        artifacts.file_digest(tmp_path / "weights", stop)
    with pytest.raises(RequestError, match=f"no file {tmp_path}/absent"):
        artifacts.file_digest(tmp_path / "absent")


def test_cached_file_digest_reads_the_file_once(tmp_path, monkeypatch):
    path = tmp_path / "weights"
    path.write_bytes(b"first")
    first = artifacts.cached_file_digest(path)
    assert first == hashlib.sha256(b"first").hexdigest()

    def forbidden(path, report):
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr(artifacts, "file_digest", forbidden)
        assert artifacts.cached_file_digest(path) == first
        assert artifacts.cached_file_digest(tmp_path / "nowhere" / ".." / "weights") == first


def test_cached_file_digest_notices_a_change_of_equal_size_and_modification_time(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"first")
    before = path.stat()
    artifacts.cached_file_digest(path)
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        path.write_bytes(b"other")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert artifacts.cached_file_digest(path) == hashlib.sha256(b"other").hexdigest()


def test_cached_file_digest_refuses_a_file_that_changes_while_it_is_read(tmp_path, cache):
    path = tmp_path / "weights"
    path.write_bytes(b"first")

    def grow(stage, fraction):
        path.write_bytes(b"longer than first")

    with pytest.raises(RequestError, match="changed while it was being read"):
        artifacts.cached_file_digest(path, grow)
    assert everything_below(cache) == []


def test_cached_file_digest_survives_a_damaged_note(tmp_path, cache):
    path = tmp_path / "weights"
    path.write_bytes(b"first")
    artifacts.cached_file_digest(path)
    (note,) = (cache / "digests").iterdir()
    for damage in ["", "[]", "{}", "{"]:
        note.write_text(damage)
        assert artifacts.cached_file_digest(path) == hashlib.sha256(b"first").hexdigest()


# artifacts


def test_artifact_comes_back_as_it_was_saved():
    arrays, header = atlas_like()
    copies = {name: array.copy() for name, array in arrays.items()}
    path = artifacts.artifact_path("atlas", "k1")
    artifacts.save_artifact(path, "atlas", arrays, header)
    loaded, loaded_header = artifacts.load_artifact(path, "atlas")
    assert loaded_header == header
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], copies[name])
        np.testing.assert_array_equal(array, copies[name])
    assert artifacts.read_header(path) == {"kind": "atlas", "format": 1, **header}


def test_artifact_is_a_plain_safetensors_file(tmp_path):
    turned = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32).T
    artifacts.save_artifact(tmp_path / "a", "atlas", {"turned": turned}, {"seed": 7})
    content = (tmp_path / "a").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    described = json.loads(content[8 : 8 + length])
    assert described["turned"]["shape"] == [3, 2]
    assert struct.unpack("<6f", content[8 + length :]) == (1, 4, 2, 5, 3, 6)
    assert json.loads(described["__metadata__"]["fnet"]) == {"kind": "atlas", "format": 1, "seed": 7}


def test_same_input_gives_the_same_bytes_in_any_order_and_process(tmp_path):
    arrays, header = atlas_like()
    artifacts.save_artifact(tmp_path / "a", "atlas", arrays, header)
    artifacts.save_artifact(tmp_path / "b", "atlas", dict(reversed(arrays.items())), dict(reversed(header.items())))
    script = (
        "import sys; sys.path.append('tests'); from pathlib import Path\n"
        "from support.arrays import atlas_like; from fnet_core.storage import artifacts\n"
        "artifacts.save_artifact(Path(sys.argv[1]), 'atlas', *atlas_like())"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "c")]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "99"}, check=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def test_unreadable_artifacts_are_request_errors_that_say_what_to_do(tmp_path):
    good = tmp_path / "good"
    artifacts.save_artifact(good, "atlas", {"maps": np.ones((3, 4))}, {"seed": 1}, version=2)
    content = good.read_bytes()

    def refused(name: str, content: bytes, version: int = 2) -> str:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RequestError) as error:
            artifacts.load_artifact(tmp_path / name, "atlas", version)
        assert str(error.value).startswith(f"{tmp_path / name} ")
        return str(error.value)

    for length in (0, 5, 40, len(content) - 8, len(content) - 1):
        assert "cut short or damaged; copy it or make it again" in refused("cut", content[:length])
    assert "not a safetensors file" in refused("text", b"a page of text, not an atlas")
    arrays = {"maps": np.ones(2)}
    for name, metadata in {
        "plain": None,
        "other": {"format": "pt"},
        "list": {"fnet": "[]"},
        "broken": {"fnet": "{"},
        "deep": {"fnet": "[" * 100_000},
        "unnamed": {"fnet": '{"format": 2}'},
    }.items():
        assert "was not saved by FNet" in refused(name, save(arrays, metadata))
    assert "format 2 of 'atlas' and this FNet reads 1; update FNet" in refused("new", content, version=1)
    assert "old format 2 of 'atlas', not 3; make it again" in refused("old", content, version=3)

    bfloat = {
        "__metadata__": {"fnet": '{"kind":"atlas","format":2}'},
        "maps": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]},
    }
    described = json.dumps(bfloat).encode()
    assert "number type" in refused("bfloat", struct.pack("<Q", len(described)) + described + bytes(4))

    with pytest.raises(RequestError, match="holds 'atlas', not 'fingerprint'; choose a file of kind"):
        artifacts.load_artifact(good, "fingerprint", 2)
    for path in (tmp_path / "absent", tmp_path, good / "below"):
        for read in (artifacts.read_header, lambda path: artifacts.load_artifact(path, "atlas")):
            with pytest.raises(RequestError, match=f"There is no file {path}; check the path"):
                read(path)


def test_artifacts_are_listed_newest_first(cache):
    assert artifacts.list_artifacts("atlas") == []
    for key, seconds in [("b", 200), ("c", 300), ("a", 100)]:
        artifacts.save_artifact(artifacts.artifact_path("atlas", key), "atlas", {}, {})
        os.utime(artifacts.artifact_path("atlas", key), (seconds, seconds))
    with artifacts.atomic_file(artifacts.artifact_path("atlas", "d")) as temporary:
        temporary.write_text("half")
        assert [path.stem for path in artifacts.list_artifacts("atlas")] == ["c", "b", "a"]
    assert artifacts.list_artifacts("fingerprint") == []


@pytest.mark.parametrize("key", ["../atlas", "a/b", "", ".", "a.b", "x" * 201, "a\n"])
def test_artifact_names_cannot_leave_the_cache_folder(key):
    with pytest.raises(RequestError, match="cannot name an artifact"):
        artifacts.artifact_path("atlas", key)
    with pytest.raises(RequestError, match="cannot name an artifact"):
        artifacts.artifact_path(key, "atlas")


# atomic writing


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


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.ENOSPC, "The disk with {} is full; free some space or choose another folder (FNET_HOME "),
        (errno.EDQUOT, "The disk with {} is full; free some space or choose another folder (FNET_HOME "),
        (errno.EROFS, "The disk with {} is read-only; choose another folder (FNET_HOME "),
        (errno.EACCES, "FNet has no permission to use the folder {}; grant it or choose another folder "),
        (errno.EPERM, "FNet has no permission to use the folder {}; grant it or choose another folder "),
    ],
)
def test_disk_trouble_is_a_request_error_and_leaves_nothing(code, sentence, cache, monkeypatch):
    def fail(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    path = artifacts.artifact_path("atlas", "k1")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(RequestError) as error:
            artifacts.save_artifact(path, "atlas", {"maps": np.ones(3)}, {})
        assert str(error.value).startswith(sentence.format(path.parent))
        with pytest.raises(RequestError), artifacts.atomic_folder(path) as temporary:
            (temporary / "weights").write_text("x")
    assert everything_below(cache) == ["atlas"]


def test_disk_errors_name_the_folder_at_fault_and_pass_other_errors_on(tmp_path):
    with pytest.raises(RequestError, match="use the folder /data/models;"), artifacts.disk_errors(tmp_path):
        raise PermissionError(errno.EACCES, "denied", "/data/models/weights")
    with pytest.raises(FileNotFoundError), artifacts.disk_errors(tmp_path):
        (tmp_path / "absent").read_text()


def test_a_full_disk_under_a_saved_model_is_said_in_the_same_words(tmp_path):
    message = "Error while serializing: I/O error: No space left on device (os error 28)"
    with pytest.raises(RequestError, match=r"disk with .* is full"), artifacts.disk_errors(tmp_path):
        raise SafetensorError(message)
    with pytest.raises(SafetensorError, match="header"), artifacts.disk_errors(tmp_path):
        raise SafetensorError("invalid header")
