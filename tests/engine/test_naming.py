"""How an engine is named, which workers are taken, and which devices they get: nothing here starts any."""

import logging
from pathlib import Path

import pytest

from fnet_core.engine import naming, workers
from fnet_core.engine.client import needs
from fnet_core.engine.naming import GPU, VERSION, Address, address_of, named
from fnet_core.engine.tls import KEY, check_folder, make
from fnet_core.engine.workers import check_reach, devices, gpus
from fnet_core.errors import RequestError

HERE = Address("127.0.0.1", 8786)


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    for name in (naming.VARIABLE, naming.TLS_VARIABLE, workers.VISIBLE):
        monkeypatch.delenv(name, raising=False)


def test_an_address_is_read_and_written_alike():
    for text in ("tcp://127.0.0.1:8786", "tcp://[::1]:1", "tcp://some.host:65535"):
        assert str(address_of(text)) == text
    assert address_of("tcp://localhost:1").local and not address_of("tcp://10.0.0.1:1").local
    assert str(address_of("tls://h:1", "folder")) == str(address_of("tcp://h:1", "folder")) == "tls://h:1"


@pytest.mark.parametrize(
    "text", ["", "here", "tcp://", "tcp://h", "tcp://h:x", "tcp://h:99999", "http://h:1", "tcp://h:1/p"]
)
def test_what_names_no_engine(text):
    with pytest.raises(RequestError, match="names no engine; write its scheduler as tcp://HOST:PORT"):
        address_of(text)


def test_the_variable_speaks_where_nothing_is_given(monkeypatch):
    assert named() is None
    monkeypatch.setenv(naming.VARIABLE, " tcp://h:1 ")
    assert str(named()) == "tcp://h:1" and str(named("tcp://g:2")) == "tcp://g:2"
    monkeypatch.setenv(naming.TLS_VARIABLE, "keys")
    assert named() == Address("h", 1, Path("keys"))
    monkeypatch.setenv(naming.VARIABLE, "")
    assert named() is None


def worker(*resources: str) -> dict:
    return {"resources": dict.fromkeys(resources, 1.0)}


def test_workers_of_another_version_are_refused_with_both_versions(caplog):
    own, old, plain = worker(VERSION), worker("FNet 0.0.1"), worker()
    with pytest.raises(RequestError) as told:
        needs({"a": old, "b": plain}, HERE)
    assert f"run FNet 0.0.1 and no FNet, and this is {VERSION}, so that they are refused" in str(told.value)
    with caplog.at_level(logging.WARNING):
        assert needs({"a": old, "b": own}, HERE) == {VERSION: 1.0}
    assert f"1 of 2 workers at {HERE} are refused: they run FNet 0.0.1, and this is {VERSION}." in caplog.text
    with pytest.raises(RequestError, match=r"has no workers; start some with: fnet worker tcp://127.0.0.1:8786"):
        needs({}, HERE)


def test_tasks_go_to_gpus_where_there_are_any():
    assert needs({"a": worker(VERSION), "b": worker(VERSION, GPU)}, HERE) == {VERSION: 1.0, GPU: 1.0}
    assert needs({"a": worker(VERSION), "b": worker("FNet 0.0.1", GPU)}, HERE) == {VERSION: 1.0}


def test_a_worker_for_every_gpu_or_one_without(monkeypatch, tmp_path):
    monkeypatch.setattr(workers, "_DEVICES", tmp_path)
    assert devices(None, None) == devices(None, 1) == ("",) and devices(None, 0) == ()
    with pytest.raises(RequestError, match="--gpu 1 is more than the 0 GPUs"):
        devices(1, None)
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidia2", "nvidiactl"):
        (tmp_path / name).touch()
    assert devices(None, None) == ("0", "1", "2", "10") and devices(2, 1) == ("0", "1", "")
    monkeypatch.setenv(workers.VISIBLE, "3,GPU-abc")
    assert gpus() == ("3", "GPU-abc") == devices(2, None)
    monkeypatch.setenv(workers.VISIBLE, "")
    assert devices(None, None) == ("",)


def test_who_may_reach_it(tmp_path):
    everywhere = Address("0.0.0.0", 8786)
    with pytest.raises(RequestError, match="could run any code as you; give a certificate"):
        check_reach(everywhere, False)
    check_reach(HERE, False)
    check_reach(everywhere, True)
    check_reach(Address("0.0.0.0", 8786, tmp_path), False)


def test_a_certificate_is_made_once_and_its_key_is_private(tmp_path):
    folder = tmp_path / "keys"
    with pytest.raises(RequestError, match=r"holds no certificate.pem and no key.pem; copy the folder"):
        check_folder(folder)
    make(folder)
    check_folder(folder)
    content = (folder / KEY).read_bytes()
    assert (folder / KEY).stat().st_mode & 0o077 == 0
    make(folder)
    assert (folder / KEY).read_bytes() == content
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="cannot hold a certificate"):
        make(tmp_path / "file" / "keys")
