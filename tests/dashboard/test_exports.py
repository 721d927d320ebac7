"""Saved models as downloads, and how many of them one person may have where several share a server."""

import io
import os
import tarfile
from types import SimpleNamespace

import pytest

from dashboard import exports
from dashboard.serving import archive, login
from fnet_core.errors import RequestError


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "made"
    (made / ("deep" * 30)).mkdir(parents=True)
    for name, content in (("config.json", b"{}"), ("empty", b""), ("model.safetensors", os.urandom(3_000_000))):
        (made / name).write_bytes(content)
    (made / ("deep" * 30) / "block").write_bytes(b"x" * 512)
    (made / "secret").symlink_to("/etc/passwd")
    return made


def test_the_archive_holds_the_plain_files_and_nobodys_name(folder):
    sent = b"".join(archive.pieces(folder))
    assert len(sent) == archive.size(folder)
    with tarfile.open(fileobj=io.BytesIO(sent)) as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}
        assert {(member.uname, member.gname, member.uid, member.mode) for member in tar} == {("", "", 0, 0o644)}
    assert found == {
        f"made/{path.relative_to(folder)}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_an_archive_is_at_a_secret_address_alone(folder, monkeypatch):
    monkeypatch.setattr(archive, "_OFFERED", 2)
    monkeypatch.setattr(archive, "_folders", {})
    address = archive.offer(folder)
    assert archive.offer(folder) == address and len(address) > 30
    secret = address.removeprefix("exports/")
    answer = archive._send(SimpleNamespace(path_params={"secret": secret}))
    assert answer.status_code == 200 and answer.headers["content-disposition"].endswith("''made.tar")
    for wrong in ("", "made", secret[:-1]):
        assert archive._send(SimpleNamespace(path_params={"secret": wrong})).status_code == 404
    archive.offer(folder / "a")
    archive.offer(folder / "b")
    assert archive._send(SimpleNamespace(path_params={"secret": secret})).status_code == 404
    assert archive.offer(folder) != address


def test_a_shared_server_bounds_what_each_person_has_saved(folder, person, monkeypatch):
    monkeypatch.setenv(exports.VARIABLE, "0.003")
    exports.begin()(folder)
    exports.begin()  # alone on this machine, nobody is bounded
    monkeypatch.setattr(login, "settings", lambda: {"client_id": "x"})
    with pytest.raises(RequestError, match="Your saved models fill 3 MB, and 3 MB are for each person"):
        exports.begin()
    person[0] = "ben"
    exports.begin()
    person[0] = "anna"
    (folder / "model.safetensors").unlink()
    exports.begin()
    monkeypatch.setenv(exports.VARIABLE, "much")
    with pytest.raises(RequestError, match="is no number of gigabytes"):
        exports.begin()


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]", '["/no/such"]', "\x00"])
def test_a_damaged_list_of_exports_counts_as_none(content, monkeypatch, person):
    monkeypatch.setattr(login, "settings", lambda: {"client_id": "x"})
    exports._ledger("anna").parent.mkdir()
    exports._ledger("anna").write_text(content)
    exports.begin()
