"""What a text shows without a model: directions that hold surface features and little else."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from fnet_core.lineage.grid import grid_positions
from fnet_core.lineage.spearman import ranks, spearman, unexplained, unit_ranks
from fnet_core.lineage.surface import LARGEST_SHARE, surface_directions
from fnet_core.texts import bundled

TEXTS = tuple(passage.text for passage in bundled("score")[:6])
DIRECTIONS = surface_directions(TEXTS)


def explained(series_G: np.ndarray, directions_GD: np.ndarray) -> float:
    """Share of variance."""
    centred = series_G - series_G.mean()
    return float(np.square(directions_GD.T @ centred).sum() / np.square(centred).sum())


def test_directions_are_orthonormal_centred_and_leave_most_of_the_room():
    for text, found in zip(TEXTS, DIRECTIONS, strict=True):
        positions = len(grid_positions(len(text)))
        assert found.shape[0] == positions and 20 < found.shape[1] <= LARGEST_SHARE * positions
        np.testing.assert_allclose(found.T @ found, np.eye(found.shape[1]), atol=1e-9)
        np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize(
    "series",
    [
        lambda text, i: text[i].isupper(),
        lambda text, i: text[i] in ".,;:!?\"'-",
        lambda text, i: i,
    ],
    ids=["capitals", "marks", "place"],
)
def test_what_anybody_can_read_off_is_explained(series):
    for text, found in zip(TEXTS, DIRECTIONS, strict=True):
        values = np.array([float(series(text, i)) for i in grid_positions(len(text))])
        assert explained(values, found) > 0.9


def test_the_most_frequent_word_is_explained_whatever_its_case():
    text, found = TEXTS[0], DIRECTIONS[0]
    padded = f" {text.lower()} "
    begins = [i for i in range(len(text)) if padded.startswith(" the ", i)]
    series = np.array([any(begin <= i < begin + 3 for begin in begins) for i in grid_positions(len(text))], float)
    assert series.sum() > 5 and explained(series, found) > 0.9


def test_noise_is_explained_no_more_than_its_share():
    rng = np.random.default_rng(0)
    for found in DIRECTIONS:
        share = np.mean([explained(rng.normal(size=len(found)), found) for _ in range(50)])
        assert share == pytest.approx(found.shape[1] / (len(found) - 1), abs=0.03)


def test_partial_rank_correlation_against_regression():
    """Pearson's r of what linear regression on the directions leaves of the ranks."""
    rng = np.random.default_rng(1)
    found = DIRECTIONS[2]
    common = rng.normal(size=len(found))
    a, b = (found[:, 0] * 30 + common + rng.normal(size=(3, len(found))) for _ in range(2))
    rests = [r - LinearRegression().fit(found, r.T).predict(found).T for r in (ranks(a), ranks(b))]
    expected = np.corrcoef(*rests)[:3, 3:]
    found_KJ = unexplained(unit_ranks(a), found) @ unexplained(unit_ranks(b), found).T
    np.testing.assert_allclose(found_KJ, expected, atol=1e-9)
    assert (found_KJ < spearman(a, b)).all()  # what both owe to the surface is gone


def test_a_series_of_surface_alone_and_a_constant_one_leave_nothing():
    found = DIRECTIONS[0]
    rows = np.stack([found[:, 1], np.full(len(found), np.nan), np.random.default_rng(2).normal(size=len(found))])
    left = unexplained(rows, found)
    assert np.isnan(left[:2]).all() and np.linalg.norm(left[2]) == pytest.approx(1)


@pytest.mark.parametrize("text", ["Short.", "a b", "   \n \n   ", "...", "漢字かな交じり文。" * 9])
def test_any_text_will_do(text):
    (found,) = surface_directions((text,))
    assert found.shape[0] == len(grid_positions(len(text))) and np.isfinite(found).all()
    assert found.shape[1] <= LARGEST_SHARE * len(found)
