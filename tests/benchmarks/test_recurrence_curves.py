"""The curves of recurrence: the figures of an atlas's own halves, at every number of passages, from one reading."""

import numpy as np
import pytest

from benchmarks import recurrence_curves
from benchmarks.recurrence_curves import Text, Way, one_at_a_time, print_curves, rows
from fnet_core import texts
from fnet_core.decomposition.canica import SKETCH_FACTOR
from fnet_core.networks.finding import AtlasRequest, find_atlas


def test_one_thing_varies_at_a_time():
    assert one_at_a_time([96, 24], [32], ["cube", "exp"]) == [(96, 32, "cube"), (24, 32, "cube"), (96, 32, "exp")]


def test_rows_are_those_of_atlases_and_are_computed_once(monkeypatch, tmp_path, capsys):
    passages = texts.bundled("find")[:8]
    text = Text.varied("bundled", passages, [8, 6], [3], ["cube", "exp"], [SKETCH_FACTOR])
    assert text.wanted == {Way(3, "cube", SKETCH_FACTOR): [6, 8], Way(3, "exp", SKETCH_FACTOR): [8]}
    print_curves(["tiny"], [text], False, tmp_path / "curves.html")
    assert len(capsys.readouterr().out.splitlines()) == 2 + 3
    page = (tmp_path / "curves.html").read_text()
    assert "passages, both halves together" in page and "networks resampled" in page
    monkeypatch.setattr(recurrence_curves, "networks", None)
    found = {(way, count): row for way, count, row in rows("tiny", text, False)}
    assert len(found) == 3
    for (way, count), row in found.items():
        atlas = find_atlas(AtlasRequest("tiny", passages[:count], components=3, contrast=way.contrast)).answer
        order = np.argsort(row["r"]), np.argsort(atlas.halves.correlation_K)  # an atlas's networks stand by variance
        np.testing.assert_allclose(np.array(row["r"])[order[0]], atlas.halves.correlation_K[order[1]], atol=1e-5)
        assert np.array_equal(np.array(row["trusted"])[order[0]], atlas.trusted_K[order[1]])
        assert row["tokens"] == atlas.tokens


def test_too_few_passages_for_the_counts():
    with pytest.raises(SystemExit, match="bundled has 24 passages, too few for 48"):
        Text.varied("bundled", texts.bundled("find"), [24, 48], [3], ["cube"], [4])
