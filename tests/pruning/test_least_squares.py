"""Least squares on the kept inputs against dense normal equations, and its strength against held-out passages."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.loading import loaded_tiny
from support.pruning_cases import PASSAGES, REQUEST, uneven_plan
from support.tiny_models import starting_tokenizer

from fnet_core.activations.hooks import touching
from fnet_core.activations.reading import read_subjects, tokenize
from fnet_core.errors import RequestError
from fnet_core.models.modules import mlp_projections
from fnet_core.pruning import gram, least_squares
from fnet_core.pruning.gram import BlockScatter, Scatter, merged, read_scatters
from fnet_core.pruning.least_squares import STRENGTHS, fitted_and_held, ridge_replacement
from fnet_core.pruning.masking import masking, prepare
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import scarce_text

KEEP = np.array([True, False, True, True, False, True, False, True])


def scatter(x_TN: np.ndarray) -> Scatter:
    found = Scatter(x_TN.shape[1])
    found.take(len(x_TN), torch.from_numpy(x_TN.mean(axis=0)), torch.from_numpy(len(x_TN) * np.cov(x_TN.T, bias=True)))
    return found


def dense(x_TN, start_SN, strength):
    """Intercept and coefficients by the normal equations on all rows, the start tokens and the penalty as rows."""
    tokens, kept = len(x_TN), KEEP.sum()
    penalty = np.diag(np.sqrt(tokens * strength * x_TN[:, KEEP].var(axis=0)))
    mean, spikes = x_TN.mean(axis=0), np.sqrt(tokens) * (start_SN - x_TN.mean(axis=0))
    rows = np.concatenate([(x_TN - mean)[:, KEEP], spikes[:, KEEP], penalty])
    aims = np.concatenate([(x_TN - mean)[:, ~KEEP], spikes[:, ~KEEP], np.zeros((kept, (~KEEP).sum()))])
    solved = np.linalg.solve(rows.T @ rows, rows.T @ aims)
    return mean[~KEEP] - mean[KEEP] @ solved, solved


def planted(rng, tokens: int) -> np.ndarray:
    return 2 + rng.normal(size=(tokens, 3)) @ np.arange(24).reshape(3, 8) / 9 + rng.normal(size=(tokens, 8))


@pytest.mark.parametrize("starts", [0, 1, 2])
def test_ridge_is_the_dense_normal_equations_at_the_strength_the_held_out_part_asks_for(starts):
    rng = np.random.default_rng(3)
    seen, held, weight = planted(rng, 24), planted(rng, 15), rng.normal(size=(5, 8))
    start = rng.normal(size=(starts, 8)) * 4
    losses = []
    for strength in STRENGTHS:
        offset, solved = dense(seen, start, strength)
        power, spikes = held[:, ~KEEP] - seen[:, ~KEEP].mean(axis=0), start[:, ~KEEP] - seen[:, ~KEEP].mean(axis=0)
        left, missed = (x[:, ~KEEP] - offset - x[:, KEEP] @ solved for x in (held, start))
        out = weight[:, ~KEEP].T
        losses.append(
            ((left @ out) ** 2).sum() / ((power @ out) ** 2).sum()
            + (((missed @ out) ** 2).sum(axis=1) / ((spikes @ out) ** 2).sum(axis=1)).sum()
        )
    offset, solved = dense(np.concatenate([seen, held]), start, STRENGTHS[int(np.argmin(losses))])
    block = BlockScatter(0, (scatter(seen), scatter(held)), torch.from_numpy(start))
    keep, x = torch.from_numpy(KEEP), rng.normal(size=(6, 8))
    found = ridge_replacement(block, torch.from_numpy(weight), keep).apply(torch.from_numpy(x).float(), keep)
    np.testing.assert_allclose(found[:, ~keep].numpy(), offset + x[:, KEEP] @ solved, atol=2e-5)
    np.testing.assert_allclose(found[:, keep].numpy(), x[:, KEEP], atol=1e-6)


def test_little_text_is_held_back_more_than_much():
    """Noise alone: what is fitted to it says nothing about the rest, so the strongest penalty is right."""
    rng = np.random.default_rng(0)
    weight, keep = torch.from_numpy(rng.normal(size=(5, 8))), torch.from_numpy(KEEP)
    sizes = {}
    for tokens in (6, 6000):
        block = BlockScatter(0, (scatter(planted(rng, tokens)), scatter(planted(rng, 500))), torch.zeros(0, 8).double())
        sizes[tokens] = float(ridge_replacement(block, weight, keep).encode_NK.norm())
    noise = BlockScatter(
        0, (scatter(rng.normal(size=(9, 8))), scatter(rng.normal(size=(900, 8)))), torch.zeros(0, 8).double()
    )
    assert float(ridge_replacement(noise, weight, keep).encode_NK.norm()) < 0.2 * min(sizes.values())


def test_scatters_are_those_of_the_captured_activations_however_many_passes_are_made(monkeypatch):
    loaded = loaded_tiny("llama")
    parts = fitted_and_held(PASSAGES)
    assert [len(part) for part in parts] == [3, 1] and parts[1] == [PASSAGES[3]]
    inputs = [torch.cat([s.activations_TN for s in read_subjects(loaded, part, "mlp")]).double() for part in parts]
    monkeypatch.setattr(gram, "BYTES_AT_ONCE", 8.0 * 2 * 40**2)
    found = list(read_scatters(loaded, parts, [0, 2], heads=True))
    assert [block.block for block in found] == [0, 2]
    for block in found:
        for part, x in zip(block.parts, inputs, strict=True):
            own = x[:, 40 * block.block : 40 * block.block + 40]
            torch.testing.assert_close(part.mean_N, own.mean(dim=0), atol=1e-6, rtol=1e-5)
            torch.testing.assert_close(part.covariance(), own.T.cov(correction=0), atol=1e-6, rtol=1e-4)
        both = torch.cat(inputs)[:, 40 * block.block : 40 * block.block + 40]
        torch.testing.assert_close(merged(block.parts).covariance(), both.T.cov(correction=0), atol=1e-6, rtol=1e-4)
        about = both.square().mean(dim=0)
        expected = (both - about).T @ (both - about) / len(both)
        torch.testing.assert_close(merged(block.parts).covariance(about), expected, atol=1e-6, rtol=1e-4)


def test_the_stand_in_restores_the_outputs_better_than_means_and_the_start_token_too():
    loaded = loaded_tiny("llama", tokenizer=starting_tokenizer())
    plan = uneven_plan(loaded)
    layer, inputs = 2, []
    with touching(loaded.model, "mlp", lambda at, x: inputs.append(x[0].clone()) if at == layer else None):
        for passage in PASSAGES:
            loaded.model(tokenize(loaded, passage).ids_T[None])
    x, start = torch.cat([i[1:] for i in inputs]), inputs[0][:1]
    weight, keep = mlp_projections(loaded.model)[layer].down.weight, torch.from_numpy(plan.keep_mlp[layer])
    lost = {}
    for name in ("bias", "ridge"):
        stand_in = prepare(loaded, plan, name, REQUEST).mlp_L[layer]
        lost[name] = [float(((stand_in.apply(part, keep) - part) @ weight.T).norm()) for part in (x, start)]
    assert lost["ridge"][0] < 0.7 * lost["bias"][0] and lost["ridge"][1] < 0.2 * lost["bias"][1]


def test_text_with_fewer_tokens_than_neurons_is_solved_and_one_passage_is_refused():
    loaded = loaded_tiny("llama")
    short = tuple(replace(p, text=p.text[:14]) for p in PASSAGES[:2])
    assert sum(int(tokenize(loaded, p).text_T.sum()) for p in short) < 40 - 7
    pruning = prepare(loaded, uneven_plan(loaded), "ridge", replace(REQUEST, passages=short))
    with masking(loaded, pruning):
        assert torch.isfinite(loaded.model(input_ids=torch.tensor([[5, 9, 22, 7]])).logits).all()
    with pytest.raises(RequestError, match="give two or more"):
        prepare(loaded, uneven_plan(loaded), "ridge", replace(REQUEST, passages=PASSAGES[:1]))


@pytest.mark.parametrize(
    ("method", "compensation", "rests"),
    [
        ("random", "ridge", True),
        ("random", "blend", True),
        ("obs", "none", True),
        ("flap", "bias", False),
        ("layer-random", "ridge", False),
    ],
)
def test_a_singular_gram_matrix_is_told_with_the_text_that_is_enough(method, compensation, rests):
    loaded, asked = loaded_tiny("llama"), PlanRequest(method, 0.2, compensation=compensation)
    for length, scarce in ((8, True), (60, False)):
        request = replace(REQUEST, passages=tuple(replace(p, text=p.text[:length]) for p in PASSAGES))
        tokens = sum(int(tokenize(loaded, p).text_T.sum()) for p in request.passages)
        assert (tokens <= 40) is scarce
        told = scarce_text(loaded, asked, request)
        assert (f"has {tokens} tokens" in told and "41 tokens are enough" in told) is (rests and scarce)
        assert bool(told) is (rests and scarce)


def test_what_decides_the_stand_in_is_in_the_changes():
    loaded = loaded_tiny("llama")
    changes = prepare(loaded, uneven_plan(loaded), "ridge", REQUEST).changes
    assert changes["least_squares"] == least_squares.VERSION and changes["texts_digest"] == REQUEST.texts_digest
    assert "components" not in changes and "seed" not in changes
