"""Two workers on this machine do what it would do alone, to the last bit, and one that dies is made up for."""

import json
import os
import signal
import socket
import time

import numpy as np
import pytest
from support import engine_tasks
from support.engines import engine_here
from support.taking import FIND, LONG, SCORE
from support.tiny_models import save_tiny

import fnet_core as fn
from fnet_core.cli import main
from fnet_core.engine import client as clients
from fnet_core.engine.client import engine_at
from fnet_core.engine.naming import VARIABLE, VERSION
from fnet_core.errors import Cancelled, RequestError
from fnet_core.lineage import pairs
from fnet_core.lineage.audit import audit
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.lineage.subjects import take
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.networks.spreading import check_alike
from fnet_core.storage import artifacts

REQUEST = FingerprintRequest("", FIND, SCORE, components=8, threshold=1.8)
SPENT = {"seconds", "peak_memory_bytes", "content"}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with engine_here(tmp_path_factory.mktemp("workers"), "--cpu", "2") as found:
        yield found


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("models")
    kinds = (("elm", "llama"), ("fir", "qwen2"), ("oak", "gpt2"))
    return [str(save_tiny(home / name, family, seed=seed, **LONG)) for seed, (name, family) in enumerate(kinds)]


def kill(address: str) -> list[int]:
    """End a worker that is at a task, at once and without a word."""
    from distributed import Client

    with Client(address, set_as_default=False) as watching:
        pids = watching.run(os.getpid)
        busy = [pids[worker] for worker, tasks in watching.processing().items() if tasks and worker in pids]
    for pid in busy[:1]:
        os.kill(pid, signal.SIGKILL)
    return busy[:1]


def same(a: Fingerprint, b: Fingerprint) -> bool:
    (arrays, header), (others, other) = a._parts(), b._parts()
    left, right = ({k: v for k, v in each.items() if k not in SPENT} for each in (header, other))
    return (
        left == right
        and arrays.keys() == others.keys()
        and all(
            np.array_equal(arrays[name], others[name]) and arrays[name].dtype == others[name].dtype for name in arrays
        )
    )


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """Goes to another empty cache folder, in which nothing was measured."""

    def go(name: str) -> None:
        monkeypatch.setenv("FNET_HOME", str(tmp_path / name))

    return go


@pytest.mark.parametrize("scope", ["model", "layer"])
def test_an_atlas_whose_passages_are_spread_is_the_same(address, folders, apart, scope):
    asked = AtlasRequest(model=folders[0], passages=FIND, components=5, restarts=3, scope=scope)
    apart("local")
    expected = find_atlas(asked).answer
    apart("asking")
    stages = []
    with engine_at(address) as engine:
        found = find_atlas(asked, lambda stage, fraction: stages.append((stage, fraction)), engine=engine)
    assert found.computed and found.answer.key == expected.key and ("capturing", 1.0) in stages
    assert found.answer.labels == expected.labels and found.answer.converged == expected.converged
    for name in ("maps", "courses", "offsets"):
        pairs = zip(getattr(found.answer, name), getattr(expected, name), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs), name
    for name in ("variance_K", "recurrence_SK", "stability_K", "trusted_K"):
        assert np.array_equal(getattr(found.answer, name), getattr(expected, name)), name


def test_an_atlas_of_a_worker_that_runs_the_model_otherwise_is_refused():
    here = {"model_digest": "ab", "device": "cpu", "dtype": "float32", "versions": {"torch": "1"}}
    check_alike("tiny", here, dict(here))
    for change, words in (
        ({"device": "cuda"}, r"another device \(cuda, and here cpu\)"),
        ({"versions": {"torch": "2"}}, r"other versions of libraries \(torch 2, and here torch 1\)"),
    ):
        with pytest.raises(RequestError, match=words):
            check_alike("tiny", here, here | change)


def test_answers_come_in_order_from_both_workers(address):
    with engine_at(address) as engine:
        found = list(engine.in_order(engine_tasks.doubled, ((number,) for number in range(40))))
    assert [value for value, _ in found] == list(range(0, 80, 2)) and os.getpid() not in {pid for _, pid in found}


def test_what_goes_wrong_is_one_answer(address):
    with engine_at(address) as engine:
        found = dict(engine.ready(engine_tasks.broken, [("refused",), ("broken",)]))
        assert (found[0].why, found[0].refused) == ("Not so.", True)
        assert (found[1].why, found[1].refused) == ("It failed while running: MemoryError: no room", False)
        with pytest.raises(RequestError, match="Not so"):
            list(engine.in_order(engine_tasks.broken, [("refused",)]))


def test_a_cancel_ends_the_task_on_its_worker(address, tmp_path):
    note = tmp_path / "note"

    def stop(number, stage, fraction):
        if stage == "turning":
            raise Cancelled

    with engine_at(address) as engine:
        with pytest.raises(Cancelled):
            list(engine.ready(engine_tasks.endless, [(str(note),)], told=stop))
        until = time.monotonic() + 10
        while not note.exists() and time.monotonic() < until:
            time.sleep(0.02)
        assert note.read_text() == "cancelled"
        assert [answer.value[0] for _, answer in engine.ready(engine_tasks.doubled, [(4,)])] == [8]


def test_workers_of_another_version_get_nothing(address, monkeypatch):
    monkeypatch.setattr(clients, "VERSION", "FNet 9.9")
    with (
        pytest.raises(RequestError, match=f"run {VERSION}, and this is FNet 9.9, so that they are refused"),
        engine_at(address),
    ):
        pass


def test_the_command_line_and_the_api_use_it(address, folders, apart, capsys, monkeypatch, tmp_path):
    apart("asking")
    texts = []
    for name, passages in (("find", FIND), ("score", SCORE)):
        (tmp_path / name).write_text("\n\n".join(p.text for p in passages))
        texts += [f"--{name}", str(tmp_path / name)]
    options = [*texts, "--components", "8", "--threshold", "1.8", "--fingerprint-only", "--json"]
    given = [*folders[:2], "/no/such"]
    assert main.main(["audit", *given, *options, "--engine", address]) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [row["label"] for row in found["failed"]] == ["/no/such"] and "fingerprints" in err
    monkeypatch.setenv(VARIABLE, address)
    choices = {"find": tmp_path / "find", "score": tmp_path / "score", "components": 8, "threshold": 1.8}
    again = fn.audit(*given, test=False, **choices)
    assert again.summary()["pairs"] == found["pairs"] and [each.label for each in again.failures] == ["/no/such"]


def test_an_engine_that_does_not_answer_is_told_within_seconds(capsys):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        silent = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        begun = time.monotonic()
        assert main.main(["audit", "tiny", "tiny", "--engine", silent]) == 2
        assert time.monotonic() - begun < 10
    err = capsys.readouterr().err
    assert f"The engine at {silent} does not answer" in err and err.count("\n") == 1


def test_only_who_holds_the_certificate_is_let_in(tmp_path):
    keys = tmp_path / "keys"
    with engine_here(tmp_path / "home", "--cpu", "0", "--tls", str(keys)) as found:
        assert found.startswith("tls://")
        with pytest.raises(RequestError, match="has no workers"), engine_at(found, str(keys)):
            pass
        with pytest.raises(RequestError, match="does not answer"), engine_at(found.replace("tls", "tcp")):
            pass


def test_an_audit_is_the_same_with_one_worker_killed_midway_and_a_model_that_is_not_there(
    address, folders, apart, monkeypatch
):
    apart("local")
    local = take(folders, REQUEST)
    expected = audit(local)
    apart("asking")
    killed, seen = [], []

    def told(number, stage, fraction):
        seen.append((number, stage, fraction))
        if not killed and 0 < fraction < 1:
            killed.extend(kill(address))

    given = [folders[0], "/no/such/model", *folders[1:]]
    with engine_at(address) as engine:
        assert engine.workers == 2
        found = take(given, REQUEST, told=told, engine=engine)
    assert len(killed) == 1 and not os.path.exists(f"/proc/{killed[0]}")
    assert [failure.label for failure in found.failures] == ["/no/such/model"]
    assert "There is no folder /no/such/model" in found.failures[0].why
    assert (1, f"failed: {found.failures[0].why}", 1.0) in seen and (3, "done", 1.0) in seen
    restarted = [number for number, stage, _ in seen if stage == "starting"]
    assert len(restarted) > len(set(restarted)), "no task began twice"
    assert [each.label for each in found.subjects] == [each.label for each in local.subjects]
    assert all(same(a.read(), b.read()) for a, b in zip(found.subjects, local.subjects, strict=True))
    for each in found.subjects:  # in the caller's own store, whole, and under the key that it would have there
        assert each.path == artifacts.artifact_path("fingerprint", each.read().key) and each.path.is_file()

    def forbidden(*arguments, **choices):
        raise AssertionError("it was done here, or asked for again")

    monkeypatch.setattr(pairs, "compare", forbidden)
    with engine_at(address) as engine:
        assert audit(found, engine=engine).table().equals(expected.table())
        engine.ready = forbidden
        again = take(folders, REQUEST, engine=engine)
    assert [each.path for each in again.subjects] == [each.path for each in found.subjects]
