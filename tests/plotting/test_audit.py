"""The figures of an audit hold the audit's numbers, and names from files are escaped."""

import numpy as np
import pytest
from support.fingerprints import hand_reference
from support.kin import member

from fnet_core.lineage.audit import Audit, audit
from fnet_core.lineage.subjects import Taken, subject_of
from fnet_core.plotting.audit import _placed, matrix, short, tree


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Audit:
    sides = [member("ant", 0), member("bee", 0), member("ant", 1, kept=(0, 2)), member("ant", 2)]
    sides[3] = sides[3].called("<b>odd</b>")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FNET_HOME", str(tmp_path_factory.mktemp("home")))
        reference = hand_reference(sides[0].protocol_digest)
        return audit(Taken(tuple(map(subject_of, sides)), ()), reference=reference)


def test_the_matrix_has_families_together_and_every_score(found):
    figure = matrix(found)
    heat, signs, cells = figure.data
    assert found.order == [0, 2, 3, 1]
    assert list(heat.z[0]) == pytest.approx([np.nan, *(found.pair(0, at).score for at in (2, 3, 1))], nan_ok=True)
    assert [tuple(row[:2]) for row in cells.customdata[:3]] == [(0, 2), (0, 3), (0, 1)]
    assert signs.text[:3] == ("D", "D", "·") and "<b>derived</b>, score" in cells.customdata[0][2]
    assert "corrected" in cells.customdata[0][2]
    assert figure.layout.yaxis.ticktext == ("ant-0", "ant-1", "&lt;b&gt;odd&lt;/b&gt;", "bee-0")
    (frame,) = figure.layout.shapes
    assert (frame.x0, frame.x1) == (-0.5, 2.5)


def test_the_tree_points_from_a_model_to_its_cut(found):
    figure = tree(found)
    nodes = figure.data[-1]
    spots = dict(zip(nodes.text, zip(nodes.x, nodes.y, strict=True), strict=True))
    assert set(spots) == {"ant-0", "ant-1", "&lt;b&gt;odd&lt;/b&gt;"}
    (arrow,) = figure.layout.annotations
    source, result = np.array(spots["ant-0"]), np.array(spots["ant-1"])
    towards = np.array([arrow.x - arrow.ax, arrow.y - arrow.ay])
    assert towards @ (result - source) > 0


def test_places_of_a_tree_differ():
    placed = _placed(0, ((0, 1), (0, 2), (2, 3), (2, 4), (4, 5)))
    points = np.array([placed[at] for at in range(6)])
    near = np.linalg.norm(points[:, None] - points, axis=2)[~np.eye(6, dtype=bool)]
    assert len(placed) == 6 and near.min() > 0.5 and placed[0] == (0.0, 0.0)


def test_long_names_lose_their_middle():
    assert short("abc") == "abc" and len(short("x" * 50)) <= 28 and short("a" * 30 + "b" * 30).endswith("bbb")
