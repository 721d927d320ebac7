"""Every family's row on a tiny random model of its real class, at every site it has."""

import pytest
import torch
from support.loading import loaded_tiny
from support.tiny_models import (
    ALL_FAMILIES,
    HEADLESS,
    MIXTURES,
    NO_MLP,
    TINY_FAMILIES,
    mixture_of,
    mlp_width,
    tiny_model,
)

from fnet_core.activations.hooks import touching
from fnet_core.choices import SITES
from fnet_core.errors import RequestError
from fnet_core.models.modules import decoder_layers, head_size, site_widths, taps
from fnet_core.pruning.anatomy import anatomy

IDS = torch.randint(4, 61, (1, 17), generator=torch.Generator().manual_seed(0))


def read(model, site):
    seen = {}
    with touching(model, site, lambda layer, x: seen.__setitem__(layer, x.clone())), torch.no_grad():
        model(IDS)
    return [seen[layer] for layer in sorted(seen)]


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_the_residual_site_is_the_models_own_hidden_states(family):
    model = tiny_model(family)
    with torch.no_grad():
        hidden = model(IDS, output_hidden_states=True).hidden_states
    seen = read(model, "residual")
    assert len(seen) == 3
    for layer, state in enumerate(hidden[:-1] if family in NO_MLP else hidden[1:-1]):  # Mamba leaves the embedding out
        torch.testing.assert_close(seen[layer], state, rtol=0, atol=0)


@pytest.mark.parametrize("family", [family for family in ALL_FAMILIES if family not in (*HEADLESS, *NO_MLP)])
def test_the_residual_stream_is_the_sum_of_its_branches(family):
    """What goes in, plus attention's and the MLP's contribution, comes out: checks `mlp_out` in each family."""
    model = tiny_model(family)
    layers = decoder_layers(model)
    attention_branch = {
        "bloom": "self_attention.dense",
        "exaone4": "post_attention_layernorm",
        "gemma2": "post_attention_layernorm",
        "gemma3_text": "post_attention_layernorm",
        "glm4": "post_self_attn_layernorm",
        "falcon": "self_attention",
        "gpt2": "attn",
        "gpt_neox": "attention",
        "gptj": "attn",
        "olmo2": "post_attention_layernorm",
        "olmo3": "post_attention_layernorm",
    }.get(family, "self_attn")
    entered, attended = {}, {}
    handles = [
        layer.register_forward_pre_hook(lambda m, a, i=i: entered.__setitem__(i, a[0].clone()))
        for i, layer in enumerate(layers)
    ]
    handles += [
        layer.get_submodule(attention_branch).register_forward_hook(
            lambda m, a, out, i=i: attended.__setitem__(i, (out[0] if isinstance(out, tuple) else out).clone())
        )
        for i, layer in enumerate(layers)
    ]
    added, left = read(model, "mlp_out"), read(model, "residual")
    for handle in handles:
        handle.remove()
    for i in range(3):
        added_all = attended[i] + added[i].reshape(entered[i].shape)
        total = entered[i] + getattr(model.config, "residual_multiplier", 1.0) * added_all
        torch.testing.assert_close(left[i], total, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_the_mlp_site_times_the_down_projection_is_the_mlps_output(family):
    model = tiny_model(family)
    inputs = read(model, "mlp")
    for layer, (tap, x) in enumerate(zip(taps(model, "mlp"), inputs, strict=True)):
        assert x.shape[-1] == site_widths(model, "mlp")[layer] == mlp_width(family)
        weight = tap.module.weight if family != "gpt2" else tap.module.weight.T
        by_hand = x.reshape(-1, mlp_width(family)) @ weight.T + (0 if tap.module.bias is None else tap.module.bias)
        produced = {}
        handle = tap.module.register_forward_hook(lambda m, a, out, p=produced: p.__setitem__("y", out.clone()))
        with torch.no_grad():
            model(IDS)
        handle.remove()
        torch.testing.assert_close(produced["y"].reshape(-1, 24), by_hand, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", [family for family in ALL_FAMILIES if family not in (*HEADLESS, *NO_MLP)])
def test_the_heads_site_splits_evenly_into_query_heads(family):
    model = tiny_model(family)
    for x in read(model, "heads"):
        assert x.shape[-1] % head_size(model) == 0
        assert x.numel() // x.shape[-1] == 17
    assert site_widths(model, "heads") == (4, 4, 4)


@pytest.mark.parametrize("family", HEADLESS)
def test_the_residual_stream_of_a_hybrid_is_the_sum_of_its_branches(family):
    """Each layer has one mixer, attention or another, whose output is added before the MLP's."""
    model = tiny_model(family)
    layers = decoder_layers(model)
    entered, mixed = {}, {}
    handles = []
    for i, layer in enumerate(layers):
        (mixer,) = [child for name, child in layer.named_children() if name in ("self_attn", "linear_attn", "mamba")]
        handles.append(layer.register_forward_pre_hook(lambda m, a, i=i: entered.__setitem__(i, a[0].clone())))
        handles.append(
            mixer.register_forward_hook(
                lambda m, a, out, i=i: mixed.__setitem__(i, (out[0] if isinstance(out, tuple) else out).clone())
            )
        )
    added, left = read(model, "mlp_out"), read(model, "residual")
    for handle in handles:
        handle.remove()
    for i in range(3):
        torch.testing.assert_close(left[i], entered[i] + mixed[i] + added[i], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("family", "site", "there"),
    [
        (family, "heads", "mlp_out, residual or experts" if family in MIXTURES else "mlp, mlp_out or residual")
        for family in HEADLESS
    ]
    + [(family, site, "residual") for family in NO_MLP for site in ("mlp", "mlp_out", "heads")],
)
def test_a_site_that_not_every_layer_has_is_refused_with_those_that_there_are(family, site, there):
    said = f"Site {site} is not in every layer of a {family} model; choose site {there}."
    for ask in (taps, site_widths):
        with pytest.raises(RequestError) as refused:
            ask(tiny_model(family), site)
        assert str(refused.value) == said


@pytest.mark.parametrize("family", NO_MLP)
def test_a_model_without_mlps_is_not_pruned(family):
    with pytest.raises(RequestError, match=f"A {family} model has no MLPs and pruning"):
        anatomy(loaded_tiny(family))


def test_an_unknown_family_lists_the_known_ones():
    model = tiny_model("llama")
    model.config.model_type = "perceptron"
    with pytest.raises(RequestError, match=r"'perceptron' is not supported.*llama.*opt"):
        taps(model, "mlp")


def test_an_unknown_site_lists_the_known_ones():
    with pytest.raises(RequestError, match=r"no site 'skull'.*mlp, mlp_out, residual, heads, experts"):
        taps(tiny_model("llama"), "skull")
    assert list(SITES) == ["mlp", "mlp_out", "residual", "heads", "experts"]


@pytest.mark.parametrize("family", MIXTURES)
def test_the_experts_site_is_what_the_router_makes_of_the_normed_stream(family):
    """By hand from the stream before the norm: hidden state times router weight, softmax over all or sigmoid."""
    model = tiny_model(family)
    entered = {}
    handles = [
        mixture_of(layer)[0].register_forward_pre_hook(lambda m, a, i=i: entered.__setitem__(i, a[0].clone()))
        for i, layer in enumerate(decoder_layers(model))
    ]
    inputs = {}
    handles += [
        layer.post_attention_layernorm.register_forward_pre_hook(lambda m, a, i=i: inputs.__setitem__(i, a[0].clone()))
        for i, layer in enumerate(decoder_layers(model))
    ]
    seen = read(model, "experts")
    for handle in handles:
        handle.remove()
    assert site_widths(model, "experts") == (5, 5, 5)
    for i, layer in enumerate(decoder_layers(model)):
        hidden = layer.post_attention_layernorm(inputs[i])
        torch.testing.assert_close(hidden, entered[i])
        router = mixture_of(layer)[1]
        exponent = (hidden[0] @ router.weight.T + (router.bias if family == "gpt_oss" else 0)).exp()
        whole = exponent + 1 if family == "llama4_text" else exponent.sum(dim=1, keepdim=True)
        torch.testing.assert_close(seen[i], exponent / whole, atol=1e-6, rtol=1e-5)
        assert seen[i].std(dim=0).min() > 1e-3


@pytest.mark.parametrize("family", MIXTURES)
def test_a_mixture_has_no_mlp_site_and_a_dense_model_no_experts(family):
    there = "mlp_out, residual or experts" if family in HEADLESS else "mlp_out, residual, heads or experts"
    with pytest.raises(RequestError, match=rf"mixture of experts.*choose site {there}\.$"):
        taps(tiny_model(family), "mlp")
    with pytest.raises(RequestError, match=r"llama model has no experts; choose site mlp, mlp_out, residual or heads"):
        taps(tiny_model("llama"), "experts")


@pytest.mark.parametrize(
    ("family", "changes"),
    [("qwen2_moe", {"mlp_only_layers": [1]}), ("llama4_text", {"moe_layers": [0, 2]})],
)
def test_dense_layers_inside_a_mixture_are_read_at_the_other_sites_and_named_at_experts(family, changes):
    model = tiny_model(family, **changes)
    with pytest.raises(RequestError, match=r"no experts in layer 1, .*choose site mlp_out, residual or heads"):
        taps(model, "experts")
    added, left = read(model, "mlp_out"), read(model, "residual")
    assert len(added) == len(left) == len(read(model, "heads")) == 3
    produced = {}
    block, _ = mixture_of(decoder_layers(model)[1])
    handle = block.register_forward_hook(lambda m, a, out: produced.__setitem__("y", out))
    with torch.no_grad():
        model(IDS)
    handle.remove()
    assert torch.equal(produced["y"], added[1])
