"""Permuted and rescaled weights: other numbers, the same function, in every family where that holds."""

import pytest
import torch
from support.tiny_models import HEADLESS, MIXTURES, NO_MLP, TINY_FAMILIES, UNGATED, tiny_model

from fnet_core.derivation.symmetries import (
    ROTATABLE,
    permute_neurons,
    permute_residual,
    rescale_neurons,
    residual_axes,
    rotate_residual,
)
from fnet_core.errors import RequestError
from fnet_core.models.families import FAMILIES
from fnet_core.models.modules import taps

IDS = torch.randint(4, 61, (2, 19), generator=torch.Generator().manual_seed(1))
RESCALABLE = [family for family in TINY_FAMILIES if FAMILIES[family].gated or family == "opt"]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def distinct_model(family):
    """A tiny model whose biases and norms are random too: zeros and ones would hide a wrong order."""
    model = tiny_model(family)
    generator = seeded(9)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


def neurons(model):
    seen = []
    handles = [
        tap.module.register_forward_pre_hook(lambda m, args: seen.append(args[0].flatten(0, -2).clone()))
        for tap in taps(model, "mlp")
    ]
    logits(model)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_permuted_neurons_keep_the_function_and_are_the_same_neurons_elsewhere(family):
    model, same = distinct_model(family), distinct_model(family)
    before, neurons_before = logits(model), neurons(model)
    permute_neurons(model, seeded(3))
    permute_neurons(same, seeded(3))
    torch.testing.assert_close(logits(model), before, atol=1e-4, rtol=0)
    assert torch.equal(logits(model), logits(same))
    for old, new in zip(neurons_before, neurons(model), strict=True):
        assert not torch.allclose(old, new, atol=1e-2)
        torch.testing.assert_close(old.sort(dim=1).values, new.sort(dim=1).values, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", [*HEADLESS, *NO_MLP])
def test_the_stream_of_a_hybrid_is_left_as_it_is(family):
    model, before = tiny_model(family), tiny_model(family)
    with pytest.raises(RequestError, match=r"stream (cannot be permuted|is made for one MLP)"):
        permute_residual(model, seeded(4))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before.parameters(), strict=True))


@pytest.mark.parametrize("family", [family for family in TINY_FAMILIES if family not in HEADLESS])
def test_a_permuted_residual_stream_keeps_the_function_and_is_the_same_stream_elsewhere(family):
    model = distinct_model(family)
    with torch.no_grad():
        before = model(IDS, output_hidden_states=True)
        permute_residual(model, seeded(4))
        after = model(IDS, output_hidden_states=True)
    torch.testing.assert_close(after.logits, before.logits, atol=1e-4, rtol=0)
    order = torch.randperm(24, generator=seeded(4))
    for old, new in zip(before.hidden_states, after.hidden_states, strict=True):
        torch.testing.assert_close(new, old[..., order], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(before.hidden_states[0], after.hidden_states[0], atol=1e-2)


@pytest.mark.parametrize("family", RESCALABLE)
def test_rescaled_neurons_keep_the_function_and_change_by_factors_within_the_bound(family):
    model = distinct_model(family)
    before, neurons_before = logits(model), neurons(model)
    rescale_neurons(model, 2.0, seeded(5))
    torch.testing.assert_close(logits(model), before, atol=1e-4, rtol=0)
    for old, new in zip(neurons_before, neurons(model), strict=True):
        factors = (new.norm(dim=0) / old.norm(dim=0))[old.norm(dim=0) > 0]
        assert 0.499 < factors.min() < 0.7 and 1.4 < factors.max() < 2.001


def test_rescaling_covers_every_gated_family_and_relu_alone():
    assert set(RESCALABLE) == (set(TINY_FAMILIES) - set(UNGATED)) | {"opt"}
    for model in (tiny_model("gpt2"), tiny_model("gpt_neox"), tiny_model("opt", activation_function="gelu")):
        with pytest.raises(RequestError, match="neither a gate nor ReLU; choose permute"):
            rescale_neurons(model, 2.0, seeded(0))


def test_a_stream_with_projections_around_it_cannot_be_permuted():
    with pytest.raises(RequestError, match="not as wide as the stream; choose permute instead"):
        permute_residual(tiny_model("opt", word_embed_proj_dim=10), seeded(0))


def test_norms_within_heads_are_left_alone_and_tied_weights_permuted_once():
    model = tiny_model("qwen3", tie_word_embeddings=True)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    permuted = [names[id(parameter)] for parameter, _ in residual_axes(model)]
    assert len(set(permuted)) == len(permuted) and "model.embed_tokens.weight" in permuted
    left = set(names.values()) - set(permuted)
    assert left == {f"model.layers.{i}.self_attn.{n}_norm.weight" for i in range(3) for n in "qk"}


@pytest.mark.parametrize("family", MIXTURES)
@pytest.mark.parametrize("change", [permute_neurons, permute_residual, lambda m, g: rescale_neurons(m, 2.0, g)])
def test_mixtures_are_refused_and_left_as_they_are(family, change):
    model = tiny_model(family)
    with pytest.raises(RequestError, match=r"is a mixture of experts and .* is made for one MLP per layer"):
        change(model, seeded(0))
    for new, old in zip(model.parameters(), tiny_model(family).parameters(), strict=True):
        assert torch.equal(new, old)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("family", ROTATABLE)
def test_a_turned_residual_stream_keeps_the_function_and_is_another_stream(family, tied):
    model = tiny_model(family, tie_word_embeddings=tied)
    generator = seeded(9)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    with torch.no_grad():
        before = model(IDS, output_hidden_states=True)
        rotate_residual(model, seeded(4))
        after = model(IDS, output_hidden_states=True)
    torch.testing.assert_close(after.logits, before.logits, atol=1e-4, rtol=0)
    for old, new in zip(before.hidden_states[:-1], after.hidden_states[:-1], strict=True):
        torch.testing.assert_close(new.norm(dim=-1), old.norm(dim=-1), atol=1e-4, rtol=1e-4)
        assert not torch.allclose(old.sort(dim=-1).values, new.sort(dim=-1).values, atol=1e-2)
    assert not model.config.tie_word_embeddings


@pytest.mark.parametrize("family", ["gpt2", "gemma", "olmo2"])
def test_a_stream_whose_directions_are_not_alike_is_not_turned(family):
    model, before = tiny_model(family), tiny_model(family)
    with pytest.raises(RequestError, match="cannot be turned"):
        rotate_residual(model, seeded(4))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before.parameters(), strict=True))
