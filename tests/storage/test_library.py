"""The library: what is listed, what goes first when it is full, and what never goes by itself."""

import json
import os
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from fnet_core.errors import RequestError
from fnet_core.storage import artifacts, library, memo
from fnet_core.storage.contents import contents_of
from fnet_core.storage.memo import Kind
from fnet_core.storage.sealed import sealed


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FNET_HOME", str(tmp_path))
    monkeypatch.delenv(library.LIMIT_VARIABLE, raising=False)
    monkeypatch.setattr(library, "_GAUGE", library._Gauge())


def put(kind: str, key: str, size: int, used: int) -> None:
    """A file of about `size` bytes that was last used at that second."""
    path = artifacts.artifact_path(kind, key)
    artifacts.save_artifact(path, kind, {"x": np.zeros(size, np.uint8)}, {"recipe": {"model": f"model of {key}"}})
    os.utime(path, (used, used))


def keys() -> set[str]:
    return {entry.key for entry in library.library().entries}


def test_what_is_listed():
    put("atlas", "old", 1000, 100)
    put("perplexity", "new", 2000, 200)
    edits = library.add_text("edits", '{"recipe": {"model": "base"}}', "quiet commas")
    found = library.library()
    assert [entry.key for entry in found.entries] == [edits.key, "new", "old"]
    assert [entry.shelf for entry in found.entries] == ["edits", "measurement", "atlas"]
    assert [contents_of(entry).model for entry in found.entries] == ["base", "model of new", "model of old"]
    assert [entry.computed for entry in found.entries] == [False, True, True] and edits.name == "quiet commas"
    assert found.size == sum(entry.path.stat().st_size for entry in found.entries)
    assert found.made_size == edits.size and found.limit == library.LIMIT_BYTES and found.full == ""


def test_the_longest_unused_goes_first_and_no_more_than_need_be():
    for key, used in (("a", 300), ("b", 100), ("c", 200)):
        put("atlas", key, 400_000, used)
    library.set_limit(1_000_000)
    assert keys() == {"a", "c"}
    put("atlas", "d", 400_000, 50)
    library.used(artifacts.artifact_path("atlas", "d"))
    library.make_room()
    assert keys() == {"a", "d"}


def test_what_was_read_last_goes_last_and_keeps_its_date():
    numbers = Kind("perplexity", lambda path: artifacts.load_artifact(path, "perplexity"), 1, keyed_since=1)
    for number, used in ((0, 100), (1, 200)):
        put("perplexity", numbers.key({"n": number}), 400_000, used)
    assert memo.known(numbers, {"n": 0}) is not None
    first, second = (library.entry_of("perplexity", numbers.key({"n": number})) for number in (0, 1))
    assert first.used > second.used and first.made == 100
    library.make_room(library.limit() - 500_000)
    assert keys() == {first.key}


def test_what_people_made_or_named_never_goes():
    put("atlas-upload", "imported", 400_000, 1)
    put("atlas", "named", 400_000, 2)
    put("atlas", "computed", 400_000, 3)
    library.rename(library.entry_of("atlas", "named"), "  my   atlas ")
    assert library.entry_of("atlas", "named").name == "my atlas"
    library.set_limit(1_000_000)
    assert keys() == {"imported", "named"}
    assert library.make_room(10**9) == [] and keys() == {"imported", "named"}
    library.rename(library.entry_of("atlas", "named"), "")
    assert len(library.make_room(10**9)) == 1 and keys() == {"imported"}


def test_a_full_library_is_told_in_a_sentence():
    put("fingerprint-upload", "imported", 1_200_000, 1)
    put("atlas", "computed", 100_000, 2)
    library.set_limit(1_000_000)
    found = library.library()
    assert keys() == {"imported"} and found.full.startswith(
        "The library is full: 1.2 MB of 1.0 MB are what people made"
    )
    with pytest.raises(RequestError, match="delete some of it on the Library page, or raise the limit"):
        library.add_text("plan", "{}")
    assert not (artifacts.home() / "plan").exists()
    library.delete(library.entry_of("fingerprint-upload", "imported"))
    assert library.add_text("plan", "{}").kind == "plan"


def test_an_answer_that_is_kept_makes_room_but_not_for_itself(monkeypatch):
    class Answer:
        def save(self, path):
            artifacts.save_artifact(path, "perplexity", {"x": np.zeros(700_000, np.uint8)}, {})

    numbers = Kind("perplexity", lambda path: artifacts.load_artifact(path, "perplexity"), 1, keyed_since=1)
    library.set_limit(1_000_000)
    made = [memo.keep(numbers, {"n": n}, Answer()) for n in (0, 1)]
    assert keys() == {made[1].stem}


def test_names_and_notes_go_with_what_they_name():
    put("atlas", "a", 1000, 100)
    library.used(artifacts.artifact_path("atlas", "a"))
    library.rename(library.entry_of("atlas", "a"), "mine")
    library.delete(library.entry_of("atlas", "a"))
    put("atlas", "a", 1000, 100)
    entry = library.entry_of("atlas", "a")
    assert entry.name is None and entry.used == 100


@pytest.mark.parametrize(("told", "size"), [("20 GB", 20 * 10**9), ("1.5mb", 1_500_000), (" 2TB ", 2 * 10**12)])
def test_sizes_as_people_write_them(told, size, monkeypatch):
    assert library.parse_limit(told) == size
    monkeypatch.setenv(library.LIMIT_VARIABLE, told)
    assert library.limit() == size


@pytest.mark.parametrize("told", ["", "20", "GB", "0 GB", "1 KB", "9999999 TB", "-1 GB"])
def test_sizes_that_are_none(told):
    with pytest.raises(RequestError, match=r"is no size|out of range"):
        library.parse_limit(told)


def test_settings_that_mean_nothing_are_those_of_a_new_library():
    for text in ("", "[]", '{"names": 3, "limit": true}', '{"limit": 1}'):
        (artifacts.home() / "library.json").write_text(text)
        assert library.library() == library.Library((), library.LIMIT_BYTES)


def test_a_whole_file_of_another_kind_in_the_settings_place_is_told(caplog):
    (artifacts.home() / "library.json").write_text(json.dumps(sealed({"accepted": ["Some Terms"]})))
    assert library.library().limit == library.LIMIT_BYTES
    assert "names and limit are those of a new library" in caplog.text


def test_a_name_too_long_and_a_thing_that_is_gone():
    put("atlas", "a", 1000, 100)
    with pytest.raises(RequestError, match="81 characters is too long"):
        library.rename(library.entry_of("atlas", "a"), "x" * 81)
    with pytest.raises(RequestError, match="no atlas 'b' in the library"):
        library.entry_of("atlas", "b")


def test_every_kind_that_the_memo_keeps_is_on_a_shelf():
    """What a new kind of answer keeps would otherwise never make room, and never be seen."""
    source = Path(library.__file__).parents[1]
    modules = [
        f"fnet_core.{path.relative_to(source).with_suffix('').as_posix().replace('/', '.')}"
        for path in source.rglob("*.py")
        if re.search(r"^\w+ = Kind\(", path.read_text(), re.MULTILINE)
    ]
    kinds = {value.name for name in modules for value in vars(import_module(name)).values() if isinstance(value, Kind)}
    assert len(modules) > 8 and kinds == set(library.COMPUTED)
