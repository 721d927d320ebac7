"""The surgeon's order and errors against refitting every candidate by dense least squares."""

import numpy as np
import pytest
import torch
from support.loading import loaded_tiny
from support.pruning_cases import PASSAGES, REQUEST
from support.tiny_models import starting_tokenizer

from fnet_core.activations.hooks import touching
from fnet_core.activations.reading import tokenize
from fnet_core.models.modules import attention_projections, head_size, heads_per_group, mlp_projections, weight_of
from fnet_core.pruning import surgeon
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.compensation import Factors
from fnet_core.pruning.factors import find_factors
from fnet_core.pruning.plan import make_plan
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import find_scores
from fnet_core.pruning.surgeon import DAMPING, input_errors, network_errors, unit_errors


def refitted_error(weight, gram, keep) -> float:
    """Output error of the best weights on the kept inputs alone, by the normal equations on all of them."""
    kept = np.linalg.solve(gram[np.ix_(keep, keep)], gram[keep] @ weight.T).T if keep else np.zeros((len(weight), 0))
    change = weight.copy()
    change[:, keep] -= kept
    return float(np.trace(change @ gram @ change.T))


def by_brute_force(weight, gram, size=1):
    """Every candidate refitted from scratch at every step."""
    left, errors = list(range(gram.shape[0] // size)), np.zeros(gram.shape[0] // size)
    while left:
        costs = []
        for unit in left:
            stay = [u * size + i for u in left if u != unit for i in range(size)]
            costs.append(refitted_error(weight, gram, stay))
        unit = left.pop(int(np.argmin(costs)))
        errors[unit] = min(costs)
    return errors


def layer(inputs: int, seed: int):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(50, inputs)) @ (np.eye(inputs) + rng.normal(size=(inputs, inputs)) / 2)
    return rng.normal(size=(5, inputs)), x.T @ x / 50 + 0.01 * np.eye(inputs)


@pytest.mark.parametrize("block", [1, 3, 64])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_by_one_as_by_brute_force_however_long_updates_wait(monkeypatch, seed, block):
    monkeypatch.setattr(surgeon, "BLOCK", block)
    weight, gram = layer(8, seed)
    found = input_errors(torch.from_numpy(weight), torch.from_numpy(gram)).numpy()
    np.testing.assert_allclose(found, by_brute_force(weight, gram), rtol=1e-9)
    assert sorted(found)[-1] == pytest.approx(np.trace(weight @ gram @ weight.T))


def test_units_of_several_inputs_as_by_brute_force():
    weight, gram = layer(12, 4)
    tensors = torch.from_numpy(weight), torch.from_numpy(gram)
    np.testing.assert_allclose(unit_errors(*tensors, 3).numpy(), by_brute_force(weight, gram, 3), rtol=1e-9)
    np.testing.assert_allclose(unit_errors(*tensors, 1).numpy(), input_errors(*tensors).numpy(), rtol=1e-9)


def test_blocks_change_nothing_over_hundreds_of_steps(monkeypatch):
    weight, gram = (torch.from_numpy(part) for part in layer(300, 7))
    lazy = input_errors(weight, gram)
    monkeypatch.setattr(surgeon, "BLOCK", 1)
    torch.testing.assert_close(lazy, input_errors(weight, gram), rtol=1e-8, atol=0)


def test_a_neuron_that_others_repeat_goes_before_one_that_is_smaller_but_alone():
    """Two equal loud neurons and a quiet one: size keeps both of the pair, the surgeon one of them."""
    gram = torch.tensor([[9.0, 9.0, 0.0], [9.0, 9.0, 0.0], [0.0, 0.0, 1.0]]).double() + 1e-6 * torch.eye(3).double()
    order = input_errors(torch.ones(2, 3).double(), gram).argsort().tolist()
    assert order[0] in (0, 1) and order[1] == 2


def test_scores_of_a_model_are_those_of_its_captured_inputs():
    loaded, inputs = loaded_tiny("llama", tokenizer=starting_tokenizer()), []
    with touching(loaded.model, "mlp", lambda at, x: inputs.append(x[0].double()) if at == 1 else None):
        for passage in PASSAGES:
            loaded.model(tokenize(loaded, passage).ids_T[None])
    x, start = torch.cat([i[1:] for i in inputs]).detach().numpy(), inputs[0][0].detach().numpy()
    spike = start - x.mean(axis=0)
    gram = np.cov(x.T, bias=True) + np.outer(spike, spike) + DAMPING * np.diag(x.var(axis=0))
    scores = find_scores(loaded, ["obs"], REQUEST)["obs"]
    weight = weight_of(mlp_projections(loaded.model)[1].down).detach().double().numpy()
    np.testing.assert_allclose(scores.mlp[1], by_brute_force(weight, gram), rtol=1e-3)
    plan = make_plan(anatomy(loaded), scores, PlanRequest("obs", 0.2, protected=(0, 0), heads=True))
    gone = np.flatnonzero(~plan.keep_mlp[1])
    assert refitted_error(weight, gram, np.flatnonzero(plan.keep_mlp[1]).tolist()) == pytest.approx(
        scores.mlp[1][gone].max(), rel=1e-3
    )
    np.testing.assert_allclose(scores.mean_mlp[1], x.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("heads", [False, True])
def test_on_networks_the_covariance_is_the_factor_models_written_out(heads):
    loaded = loaded_tiny("llama", tokenizer=starting_tokenizer())
    request = REQUEST.with_heads(heads)
    found = find_scores(loaded, ["obs-networks"], request)["obs-networks"]
    factors = find_factors(loaded, PASSAGES, REQUEST.components, REQUEST.seed, heads)
    size = head_size(loaded.model) * heads_per_group(loaded.model)
    sites = [(mlp_projections(loaded.model)[1].down, factors.mlp_L[1], found.mlp[1], 1)]
    if heads:
        sites.append((attention_projections(loaded.model)[1].out, factors.attention_L[1], found.heads[1], size))
    for projection, model, scores, each in sites:
        loading, spikes = model.loading_KN.numpy(), (model.start_SN - model.mean_N).numpy()
        gram = loading.T @ model.covariance_KK.numpy() @ loading + spikes.T @ spikes + np.diag(model.own_N)
        weight = weight_of(projection).detach().double().numpy()
        np.testing.assert_allclose(scores, by_brute_force(weight, gram, each), rtol=1e-6)
    assert bool(found.heads) is heads


def test_on_networks_an_input_that_never_changes_goes_first_unless_it_speaks_at_a_start_token():
    loading = torch.tensor([[1.0, 1.0, 0.0, 0.0]]).double()
    start, own = torch.tensor([[0.0, 0.0, 0.0, 5.0]]).double(), torch.tensor([0.5, 0.5, 0.0, 0.0]).double()
    factors = Factors(torch.zeros(4).double(), loading, torch.eye(1).double(), own, start)
    order = network_errors(torch.ones(3, 4), factors).argsort().tolist()
    assert order[0] == 2 and order[-1] == 3
