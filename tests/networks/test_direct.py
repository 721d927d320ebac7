"""The direct logit effect against explicit matrices, for every kind of norm; its random controls; what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.loading import loaded_tiny
from torch import nn

from fnet_core import texts
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.networks import direct
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.direct import DIRECT, direct_effect, direct_recipe, why_not
from fnet_core.networks.finding import atlas_of
from fnet_core.networks.request import AtlasRequest
from fnet_core.storage import memo

THRESHOLD = 2.0
FAMILIES = ("llama", "gpt2", "gemma3_text")


def norms_of(loaded: LoadedModel) -> list[nn.Module]:
    return [module for name, module in loaded.model.named_modules() if "norm" in name or "ln_" in name]


@pytest.fixture(scope="module", params=FAMILIES)
def found(request) -> tuple[LoadedModel, Atlas]:
    """A tiny model whose norms multiply each dimension differently, and its networks."""
    loaded = loaded_tiny(request.param, max_position_embeddings=2048)
    generator = torch.Generator().manual_seed(1)
    for norm in norms_of(loaded):
        for parameter in norm.parameters():
            parameter.data = torch.rand(parameter.shape, generator=generator) + 0.5
    return loaded, atlas_of(loaded, AtlasRequest(loaded.name, texts.bundled("find")[:3], components=4)).answer


def down_projections(loaded: LoadedModel) -> list[nn.Module]:
    if loaded.family == "gpt2":
        return [layer.mlp.c_proj for layer in loaded.model.transformer.h]
    return [layer.mlp.down_proj for layer in loaded.model.model.layers]


def matrix(loaded: LoadedModel, down: nn.Module) -> torch.Tensor:
    """What each neuron writes, (width, neurons)."""
    return down.weight.T if loaded.family == "gpt2" else down.weight


def read(loaded: LoadedModel, atlas: Atlas) -> list[list[torch.Tensor]]:
    """Per layer and passage, what goes into the down-projection."""
    seen: list[list[torch.Tensor]] = [[] for _ in down_projections(loaded)]
    hooks = [
        down.register_forward_pre_hook(lambda _, given, at=at: seen[at].append(given[0][0].clone()))
        for at, down in enumerate(down_projections(loaded))
    ]
    for passage in atlas.passages:
        loaded.model(input_ids=torch.tensor(loaded.tokenizer(passage.text)["input_ids"])[None])
    for hook in hooks:
        hook.remove()
    return seen


def expected(loaded: LoadedModel, atlas: Atlas, network: int) -> torch.Tensor:
    """Every token's logit by the formula written out, for this family."""
    total = torch.zeros(loaded.model.config.hidden_size)
    layers = loaded.model.transformer.h if loaded.family == "gpt2" else loaded.model.model.layers
    for (layer, z), down, passages in zip(
        atlas.map_rows(network).items(), down_projections(loaded), read(loaded, atlas), strict=True
    ):
        z = torch.from_numpy(np.where(np.abs(z) > THRESHOLD, z, 0.0))
        deviation = torch.stack([x.var(dim=0, correction=0) for x in passages]).mean(dim=0).sqrt()
        added = matrix(loaded, down) @ (z * deviation)
        if loaded.family == "gemma3_text":
            written = [x @ matrix(loaded, down).T for x in passages]
            scale = torch.stack([(1 / x.pow(2).mean(dim=1).sqrt()).mean() for x in written]).mean()
            added = added * scale * (1 + layers[layer].post_feedforward_layernorm.weight)
        total += added
    if loaded.family == "gpt2":
        total = (total - total.mean()) * loaded.model.transformer.ln_f.weight
    else:
        norm = loaded.model.model.norm.weight
        total = total * (1 + norm if loaded.family == "gemma3_text" else norm)
    logits = loaded.model.get_output_embeddings().weight @ total
    return (logits - logits.mean()) / logits.std()


def test_tokens_are_those_of_the_explicit_matrices(found):
    loaded, atlas = found
    effect = direct_effect(loaded, atlas, THRESHOLD)
    assert effect.networks and effect.random_KM2.shape == (len(effect.networks), direct.DRAWS, 2)
    for row, network in enumerate(effect.networks):
        logits = expected(loaded, atlas, network)
        up, down = logits.topk(direct.KEPT), logits.topk(direct.KEPT, largest=False)
        np.testing.assert_allclose(effect.effects_K2C[row, 0], up.values, rtol=2e-3, atol=2e-3)
        np.testing.assert_allclose(effect.effects_K2C[row, 1], down.values, rtol=2e-3, atol=2e-3)
        assert effect.ids_K2C[row, 0, 0] == up.indices[0] and effect.ids_K2C[row, 1, 0] == down.indices[0]
    first = effect.networks[0]
    table = effect.table(first)
    assert table["promoted"][0] == loaded.tokenizer.decode([int(effect.ids_K2C[0, 0, 0])])
    assert table["promoted_sd"].is_monotonic_decreasing and table["suppressed_sd"].is_monotonic_increasing
    beyond = bool(table["promoted_sd"][0] > effect.random_of(first).max())
    assert effect.beyond_random(first) is beyond
    assert ("more than any of them" in effect.sentence(first)) is beyond


def test_the_answer_is_kept_and_found_without_the_model(found, monkeypatch):
    loaded, atlas = found
    effect = direct_effect(loaded, atlas, THRESHOLD)
    monkeypatch.setattr(direct, "_computed", lambda *_: pytest.fail("it was kept"))
    assert direct_effect(loaded, atlas, THRESHOLD).summary() == effect.summary()
    recipe = direct_recipe(atlas, THRESHOLD)
    assert recipe is not None and memo.known(DIRECT, recipe).summary() == effect.summary()
    forged = replace(atlas, maps=tuple(maps * np.float32(1.5) for maps in atlas.maps))
    assert DIRECT.key(direct_recipe(forged, THRESHOLD)) != DIRECT.key(recipe)


def test_random_neurons_are_as_many_others_of_the_same_layers_with_the_same_values():
    rows = {0: np.array([0, 3.0, 0, 0, -4.0, 0]), 2: np.array([0, 0, 2.5, 0])}
    sets = direct._random(rows, np.random.default_rng(0))
    assert len(sets) == direct.DRAWS
    for drawn in sets:
        for layer, z in rows.items():
            assert sorted(drawn[layer][drawn[layer] != 0]) == sorted(z[z != 0])
            assert not ((drawn[layer] != 0) & (z != 0)).any()
    assert direct._random({0: np.array([1.0, 2.0, 3.0, 0.0])}, np.random.default_rng(0)) == []


@pytest.mark.parametrize("site", ["residual", "mlp_out"])
def test_sites_of_the_stream_are_read_out_directly(site):
    loaded = loaded_tiny("llama", max_position_embeddings=2048)
    atlas = atlas_of(loaded, AtlasRequest(loaded.name, texts.bundled("find")[:2], components=3, site=site)).answer
    effect = direct_effect(loaded, atlas, 1.5)
    row, network = 0, effect.networks[0]
    hidden = loaded.model.get_output_embeddings().weight
    deviations, _ = direct._text_statistics(loaded, atlas, lambda *_: None)
    total = sum(
        torch.from_numpy(np.where(np.abs(z) > 1.5, z, 0.0)) * deviations[layer]
        for layer, z in atlas.map_rows(network).items()
    )
    logits = hidden @ (loaded.model.model.norm.weight * total).float()
    logits = (logits - logits.mean()) / logits.std()
    np.testing.assert_allclose(effect.effects_K2C[row, 0], logits.topk(direct.KEPT).values, rtol=1e-3, atol=1e-3)


def test_what_is_not_written_to_the_stream_is_refused_with_its_reason():
    loaded = loaded_tiny("llama", max_position_embeddings=2048)
    atlas = atlas_of(loaded, AtlasRequest(loaded.name, texts.bundled("find")[:2], components=2, site="heads")).answer
    assert "has no direction of its own" in why_not(atlas)
    with pytest.raises(RequestError, match="no direct effect on tokens; find networks at site mlp"):
        direct_effect(loaded, atlas)
    atlas.recipe["model_digest"] = "1" * 64
    with pytest.raises(RequestError, match="was found in another model"):
        direct_effect(loaded, atlas)


def test_a_threshold_that_no_neuron_passes_is_a_sentence(found):
    loaded, atlas = found
    with pytest.raises(RequestError, match="No network has a neuron"):
        direct_effect(loaded, atlas, 1e6)
