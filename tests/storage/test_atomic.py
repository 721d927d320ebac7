"""What a person may have written where: new and plain files, new folders, and nothing in place of anything else."""

import os
from pathlib import Path

import pytest

from fnet_core.errors import RequestError
from fnet_core.storage.atomic import atomic_file, check_file, new_folder


def obstacles(folder: Path) -> dict[str, Path]:
    """What can stand where a file was asked for, by the word that the refusal names it with."""
    paths = {name: folder / name for name in ("folder", "link", "dangling", "pipe")}
    paths["folder"].mkdir()
    (folder / "kept").write_text("as it was")
    paths["link"].symlink_to(folder / "kept")
    paths["dangling"].symlink_to(folder / "nothing")
    os.mkfifo(paths["pipe"])
    return paths | {"device": Path("/dev/null")}


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("folder", "is a folder"),
        ("link", "is a link"),
        ("dangling", "is a link"),
        ("pipe", "a device or a pipe"),
        ("device", "a device or a pipe"),
    ],
)
def test_nothing_but_a_plain_file_is_replaced(tmp_path, what, sentence):
    path = obstacles(tmp_path)[what]
    before = path.lstat().st_mode
    with pytest.raises(RequestError, match=sentence):
        check_file(path)
    with pytest.raises(RequestError, match=sentence), atomic_file(path) as temporary:
        temporary.write_text("new")
    assert path.lstat().st_mode == before and (tmp_path / "kept").read_text() == "as it was"


def test_new_and_plain_files_are_written(tmp_path):
    for path in (tmp_path / "new" / "file", tmp_path / "old"):
        with atomic_file(path) as temporary:
            temporary.write_text("new")
    with atomic_file(tmp_path / "old") as temporary:
        temporary.write_text("newer")
    assert (tmp_path / "old").read_text() == "newer"


def test_an_empty_name_is_neither_a_file_nor_a_folder():
    with pytest.raises(RequestError, match="name a file"):
        check_file("")
    with pytest.raises(RequestError, match="name a new folder"):
        new_folder("")


@pytest.mark.parametrize("what", ["folder", "link", "dangling", "pipe"])
def test_a_folder_to_save_in_is_a_new_one(tmp_path, what):
    with pytest.raises(RequestError, match="exists already"):
        new_folder(obstacles(tmp_path)[what])
    assert new_folder(tmp_path / "new") == tmp_path / "new"
