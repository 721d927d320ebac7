"""FastICA against scikit-learn's, planted sources and the stationarity condition."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import FastICA
from support.planted import matched_correlation

from fnet_core.choices import CONTRASTS
from fnet_core.decomposition.ica import DAMPED_AFTER, contrast_terms, decorrelate, fastica, random_starts, whiten

SKLEARN = {"cube": "cube", "logcosh": "logcosh", "exp": "exp"}


def laplace_mixture(components: int = 5, samples: int = 1700, seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    sources = rng.laplace(size=(components, samples))
    return torch.from_numpy(sources), torch.from_numpy(rng.normal(size=(components, components)) @ sources)


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_same_unmixing_as_scikit_learn_from_the_same_start(contrast):
    _, mixed = laplace_mixture()
    white = whiten(mixed[None])
    start = random_starts(1, 1, 5, seed=7)
    ours = fastica(white, start, contrast, tolerance=1e-12, max_iterations=500)
    theirs = FastICA(whiten=False, fun=SKLEARN[contrast], w_init=start[0, 0].numpy(), tol=1e-12, max_iter=500).fit(
        white[0].numpy().T
    )
    cosine = np.abs((ours.unmixing_BRKK[0, 0].numpy() * theirs.components_).sum(axis=1))
    np.testing.assert_allclose(cosine, 1, atol=1e-6)
    signs = np.sign((ours.unmixing_BRKK[0, 0].numpy() * theirs.components_).sum(axis=1))
    np.testing.assert_allclose(ours.unmixing_BRKK[0, 0].numpy(), signs[:, None] * theirs.components_, atol=1e-6)


def test_a_batch_of_restarts_and_problems_equals_one_at_a_time():
    problems = torch.stack([whiten(laplace_mixture(seed=s)[1][None])[0] for s in (1, 2, 3)])
    starts = random_starts(3, 4, 5, seed=0)
    together = fastica(problems, starts, "logcosh")
    for b in range(3):
        for r in range(4):
            alone = fastica(problems[b : b + 1], starts[b : b + 1, r : r + 1], "logcosh")
            torch.testing.assert_close(together.unmixing_BRKK[b, r], alone.unmixing_BRKK[0, 0])
            assert together.iterations_BR[b, r] == alone.iterations_BR[0, 0]


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_derivatives_of_the_contrasts(contrast):
    y = torch.linspace(-3, 3, 41, dtype=torch.float64)
    h = 1e-6
    g_plus, _ = contrast_terms(y + h, contrast)
    g_minus, _ = contrast_terms(y - h, contrast)
    _, slope = contrast_terms(y, contrast)
    torch.testing.assert_close(slope, (g_plus - g_minus) / (2 * h), atol=1e-8, rtol=1e-7)


def test_unmixing_is_orthonormal_and_recovers_the_sources():
    sources, mixed = laplace_mixture()
    white = whiten(mixed[None])
    found = fastica(white, random_starts(1, 3, 5, seed=1), "logcosh")
    assert found.converged_BR.all()
    for w in found.unmixing_BRKK[0]:
        torch.testing.assert_close(w @ w.T, torch.eye(5, dtype=torch.float64))
        r, _, _ = matched_correlation(w @ white[0], sources)
        assert r.min() > 0.98


def test_shorter_steps_converge_where_full_ones_swing_and_change_nothing_where_those_converge():
    """Noise has no components, and full steps go back and forth between two ways to turn it."""
    noise = whiten(torch.randn(1, 8, 400, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    starts = random_starts(1, 12, 8, seed=4)
    full, shorter = fastica(noise, starts), fastica(noise, starts, damped=True)
    assert not full.converged_BR.any() and shorter.converged_BR.all()
    further = fastica(noise, shorter.unmixing_BRKK, max_iterations=11, damped=True)
    assert ((further.unmixing_BRKK @ shorter.unmixing_BRKK.mT).abs().amax(dim=-1) > 1 - 1e-3).all()
    white, starts = whiten(laplace_mixture()[1][None]), random_starts(1, 3, 5, seed=1)
    full, shorter = fastica(white, starts), fastica(white, starts, damped=True)
    assert full.converged_BR.all() and (full.iterations_BR < DAMPED_AFTER).all()
    cosines = (full.unmixing_BRKK * shorter.unmixing_BRKK).sum(dim=-1).abs()
    assert (cosines > 1 - 1e-6).all()


def test_stopping_early_is_reported():
    white = whiten(laplace_mixture()[1][None])
    found = fastica(white, random_starts(1, 2, 5, seed=1), max_iterations=1)
    assert not found.converged_BR.any()
    assert (found.change_BR > 1e-4).all()
    assert (found.iterations_BR == 1).all()


def test_inputs_are_not_changed():
    white = whiten(laplace_mixture()[1][None])
    start = random_starts(1, 2, 5, seed=1)
    kept_white, kept_start = white.clone(), start.clone()
    fastica(white, start)
    assert torch.equal(white, kept_white) and torch.equal(start, kept_start)


def test_whitening_gives_unit_covariance_and_refuses_dependent_rows():
    _, mixed = laplace_mixture()
    white = whiten(mixed[None])[0]
    torch.testing.assert_close(white @ white.T / white.shape[1], torch.eye(5, dtype=torch.float64))
    torch.testing.assert_close(white.mean(dim=1), torch.zeros(5, dtype=torch.float64))
    with pytest.raises(ValueError, match="linearly dependent"):
        whiten(torch.cat([mixed, mixed[:1]])[None])


def test_decorrelate_gives_the_polar_factor():
    matrix = torch.randn(4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrix)
    torch.testing.assert_close(decorrelate(matrix), u @ v)
