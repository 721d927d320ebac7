"""The measured Gram matrix shrunk towards that of the networks: ends and middle against dense float64."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.loading import loaded_tiny
from support.pruning_cases import PASSAGES, REQUEST, uneven_plan
from support.tiny_models import starting_tokenizer

from fnet_core.pruning import blending, least_squares
from fnet_core.pruning.blending import best_share, blend_replacement, blended, refitted
from fnet_core.pruning.calibration import Moments
from fnet_core.pruning.compensation import Factors, layer_factors, network_replacement
from fnet_core.pruning.gram import BlockScatter, Scatter, merged
from fnet_core.pruning.least_squares import STRENGTHS, coefficients, ridge_replacement
from fnet_core.pruning.masking import masking, prepare

KEEP = np.array([True, False, True, True, False, True, False, True])
KEEP_N = torch.from_numpy(KEEP)
WEIGHT_ON = torch.from_numpy(np.random.default_rng(9).normal(size=(5, 8)))
LOADING_KN = np.random.default_rng(4).normal(size=(2, 8))


def scatter(x_TN: np.ndarray) -> Scatter:
    found = Scatter(x_TN.shape[1])
    found.take(len(x_TN), torch.from_numpy(x_TN.mean(axis=0)), torch.from_numpy(len(x_TN) * np.cov(x_TN.T, bias=True)))
    return found


def planted(rng, tokens: int, beyond: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Activity of two networks, (T, 2), and inputs, (T, 8); `beyond` them inputs have a common part in pairs."""
    active = rng.normal(size=(tokens, 2)) @ [[1.0, 0.4], [0.0, 0.8]]
    pairs = rng.normal(size=(tokens, 4)).repeat(2, axis=1)
    return active, 3 + active @ LOADING_KN + beyond * pairs + 0.7 * rng.normal(size=(tokens, 8))


def case(tokens=(60, 25), starts=1, beyond=0.5, seed=0) -> tuple[BlockScatter, Factors]:
    """A layer's scatter and the factor model of all its text."""
    rng = np.random.default_rng(seed)
    active, x = (np.concatenate(part) for part in zip(*(planted(rng, t, beyond) for t in tokens), strict=True))
    start = torch.from_numpy(4 * rng.normal(size=(starts, 8)))
    mean, deviations = active.mean(axis=0), x - x.mean(axis=0)
    shared = torch.from_numpy((active - mean).T @ deviations / len(x))
    moments = Moments(torch.from_numpy(x.mean(axis=0)), torch.from_numpy(x.var(axis=0)), start)
    factors = layer_factors(moments, torch.from_numpy(np.cov(active.T, bias=True)), shared)
    return BlockScatter(0, (scatter(x[: tokens[0]]), scatter(x[tokens[0] :])), start), factors


def expected_by_networks(factors: Factors) -> np.ndarray:
    """What each kept input says of each removed one, (K, R): the covariance written out, and its inverse taken."""
    loading, own = factors.loading_KN.numpy(), factors.own_N.numpy()
    spikes = (factors.start_SN - factors.mean_N).numpy()
    alive = KEEP & (own > 0)
    whole = loading.T @ factors.covariance_KK.numpy() @ loading + spikes.T @ spikes + np.diag(own)
    found = np.zeros((KEEP.sum(), (~KEEP).sum()))
    found[alive[KEEP]] = np.linalg.inv(whole[np.ix_(alive, alive)]) @ whole[np.ix_(alive, ~KEEP)]
    return found


@pytest.mark.parametrize("starts", [0, 1, 2])
def test_both_ends_are_the_networks_and_least_squares(starts):
    found, factors = case(starts=starts)
    both = merged(found.parts)
    at_zero = coefficients(blended(both, factors, KEEP_N, 0.0, 0.1), KEEP_N)
    np.testing.assert_allclose(at_zero.numpy(), expected_by_networks(factors), atol=1e-10)
    by_networks = network_replacement(factors, KEEP_N)
    np.testing.assert_allclose(
        at_zero.numpy(), (by_networks.encode_NK @ by_networks.decode_KN)[KEEP][:, ~KEEP].numpy(), atol=1e-6
    )
    at_one = coefficients(blended(both, factors, KEEP_N, 1.0, 0.1), KEEP_N)
    spikes = (found.start_SN - both.mean_N).numpy()
    covariance = both.covariance().numpy()
    whole = covariance + spikes.T @ spikes + 0.1 * np.diag(np.diag(covariance))
    dense = np.linalg.inv(whole[np.ix_(KEEP, KEEP)]) @ whole[np.ix_(KEEP, ~KEEP)]
    np.testing.assert_allclose(at_one.numpy(), dense, atol=1e-10)
    between = blended(both, factors, KEEP_N, 0.3, 0.1).numpy()
    ends = (blended(both, factors, KEEP_N, share, 0.1).numpy() for share in (0.0, 1.0))
    np.testing.assert_allclose(between, np.average([*ends], axis=0, weights=[0.7, 0.3]), atol=1e-12)


def test_an_input_that_is_silent_on_text_says_nothing_at_the_networks_end():
    found, factors = case()
    silent = 3
    factors.own_N[silent] = 0.0
    factors.loading_KN[:, silent] = 0.0
    at_zero = coefficients(blended(merged(found.parts), factors, KEEP_N, 0.0, 0.1), KEEP_N)
    np.testing.assert_allclose(at_zero.numpy(), expected_by_networks(factors), atol=1e-10)
    assert not at_zero[KEEP[:silent].sum()].any()


@pytest.mark.parametrize(("share", "end"), [(0.0, "networks"), (1.0, "ridge")])
def test_a_model_with_one_end_alone_is_that_compensation(monkeypatch, share, end):
    loaded = loaded_tiny("llama", tokenizer=starting_tokenizer())
    plan = uneven_plan(loaded)
    strength = least_squares.best_strength
    monkeypatch.setattr(blending, "best_share", lambda found, _, *layer: (share, strength(found, *layer)[0]))
    logits = {}
    for name in ("blend", end):
        with masking(loaded, prepare(loaded, plan, name, REQUEST)):
            logits[name] = loaded.model(input_ids=torch.tensor([[5, 9, 22, 7, 31, 14]])).logits
    torch.testing.assert_close(logits["blend"], logits[end], atol=1e-5, rtol=0)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_share_is_the_one_that_loses_least_of_the_held_out_part(seed):
    found, factors = case(tokens=(80, 400), beyond=0.5, seed=seed)
    fitted, held = found.parts
    own, (best_penalty, _) = refitted(factors, fitted), least_squares.best_strength(found, WEIGHT_ON, KEEP_N)
    spikes = (found.start_SN - fitted.mean_N).numpy()
    unseen = held.covariance(about_N=fitted.mean_N).numpy()
    losses = {}
    for share in blending.SHARES:
        for penalty in (STRENGTHS[0], best_penalty):
            gram = blended(fitted, own, KEEP_N, share, penalty).numpy()
            solved = np.linalg.solve(gram[np.ix_(KEEP, KEEP)], gram[np.ix_(KEEP, ~KEEP)])
            change = np.zeros((8, 3))
            change[~KEEP], change[KEEP] = np.eye(3), -solved
            out = WEIGHT_ON[:, ~KEEP_N].numpy()
            lost, brought = change @ out.T, out.T
            on_text = np.trace(lost.T @ unseen @ lost) / np.trace(brought.T @ unseen[np.ix_(~KEEP, ~KEEP)] @ brought)
            at_start = ((spikes @ lost) ** 2).sum() / ((spikes[:, ~KEEP] @ brought) ** 2).sum()
            losses[share, penalty] = on_text + at_start
    share, penalty = best_share(found, factors, WEIGHT_ON, KEEP_N)
    assert losses[share, penalty] == pytest.approx(min(losses.values()), rel=1e-9) and 0 < share < 1


def test_little_text_believes_the_networks_and_much_text_itself():
    few, factors = case(tokens=(12, 600), beyond=0.0)
    assert best_share(few, factors, WEIGHT_ON, KEEP_N)[0] <= 0.5
    many, factors = case(tokens=(60_000, 20_000), beyond=1.0)
    assert best_share(many, factors, WEIGHT_ON, KEEP_N)[0] >= 0.9
    by_both, by_ridge = blend_replacement(many, factors, WEIGHT_ON, KEEP_N), ridge_replacement(many, WEIGHT_ON, KEEP_N)
    torch.testing.assert_close(by_both.encode_NK, by_ridge.encode_NK, atol=0.05, rtol=0)


def test_the_same_networks_on_the_same_text_are_the_same_model():
    found, factors = case(tokens=(4000, 1000), beyond=0.0)
    again = refitted(factors, merged(found.parts))
    torch.testing.assert_close(again.carried_N, factors.carried_N, rtol=0.1, atol=0.02)
    torch.testing.assert_close(again.own_N + again.carried_N, factors.own_N + factors.carried_N)
    other = refitted(factors, found.parts[0])
    assert not torch.equal(other.carried_N, again.carried_N)


def test_what_decides_the_stand_in_is_in_the_changes_and_less_text_than_networks_is_solved():
    loaded = loaded_tiny("llama")
    changes = prepare(loaded, uneven_plan(loaded), "blend", REQUEST).changes
    assert (changes["blend"], changes["least_squares"]) == (blending.VERSION, least_squares.VERSION)
    assert changes["components"] == REQUEST.components and changes["texts_digest"] == REQUEST.texts_digest
    short = tuple(replace(p, text=p.text[:5]) for p in PASSAGES[:2])
    pruning = prepare(loaded, uneven_plan(loaded), "blend", replace(REQUEST, passages=short, components=3))
    with masking(loaded, pruning):
        assert torch.isfinite(loaded.model(input_ids=torch.tensor([[5, 9, 22, 7]])).logits).all()
