"""Remembered facts: whatever stands in a fact's place is no fact and no hindrance."""

import pytest

from fnet_core.storage import artifacts
from fnet_core.storage.remembering import place, recalled, remember

DAMAGES = {
    "a folder": lambda path: path.mkdir(),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "no JSON": lambda path: path.write_text("{"),
    "another fact": lambda path: path.write_text("[7]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_fact_is_found_out_again(damage, tmp_path):
    remember("a", {"b": 1})
    assert recalled("a") == {"b": 1} and recalled("none") is None
    file = tmp_path / "f"
    file.write_text("words")
    digest = artifacts.cached_file_digest(file)
    kept = place(artifacts.digest(artifacts.identity(file.resolve())))
    kept.unlink()
    DAMAGES[damage](kept)
    assert artifacts.cached_file_digest(file) == digest
    assert kept.is_file() and not kept.is_symlink()
