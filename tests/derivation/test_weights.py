"""Noise, quantisation, dropped layers and the mean of two models, against numbers by hand."""

import numpy as np
import pytest
import torch
from support.tiny_models import ALL_FAMILIES, MIXTURES, mixture_of, tiny_model

from fnet_core.derivation.weights import GROUP, add_noise, drop_layers, dropped_layers, merge, quantise
from fnet_core.errors import RequestError
from fnet_core.models.modules import decoder_layers

IDS = torch.randint(4, 61, (1, 11), generator=torch.Generator().manual_seed(2))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_noise_has_the_asked_size_in_every_matrix_and_none_in_vectors():
    before = {name: p.numpy().copy() for name, p in tiny_model("opt").named_parameters()}
    model = tiny_model("opt")
    add_noise(model, 0.1, seeded(7))
    for name, parameter in model.named_parameters():
        difference = parameter.numpy() - before[name]
        if parameter.ndim == 2:
            assert difference.std() == pytest.approx(0.1 * before[name].std(), rel=0.12)
            assert abs(difference.mean()) < 0.02 * before[name].std()
        else:
            assert not difference.any()


def test_noise_is_the_seeds():
    three, again, four = tiny_model("llama"), tiny_model("llama"), tiny_model("llama")
    for model, seed in ((three, 3), (again, 3), (four, 4)):
        add_noise(model, 0.2, seeded(seed))
    assert all(torch.equal(a, b) for a, b in zip(three.parameters(), again.parameters(), strict=True))
    assert not torch.equal(three.lm_head.weight, four.lm_head.weight)


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
@pytest.mark.parametrize(("family", "path"), [("llama", "mlp.down_proj"), ("gpt2", "mlp.c_proj")])
def test_a_quantised_group_has_few_values_and_a_bounded_error(bits, family, path):
    before, model = tiny_model(family), tiny_model(family)
    quantise(model, bits)
    for old_layer, new_layer in zip(decoder_layers(before), decoder_layers(model), strict=True):
        old, new = (layer.get_submodule(path).weight.numpy() for layer in (old_layer, new_layer))
        if family == "gpt2":
            old, new = old.T, new.T
        assert old.shape == (24, 40) and GROUP == 32
        for row in range(24):
            for columns in (slice(0, 32), slice(32, 40)):
                w, q = old[row, columns], new[row, columns]
                assert len(np.unique(q)) <= 2**bits - 1
                step = abs(w).max() / (2 ** (bits - 1) - 1)
                assert abs(w - q).max() <= step / 2 * (1 + 1e-5)
                np.testing.assert_allclose(q / step, np.round(q / step), atol=1e-4)
    assert torch.equal(model.get_input_embeddings().weight, before.get_input_embeddings().weight)


def test_zeros_stay_zeros_when_quantised():
    model = tiny_model("llama")
    model.model.layers[1].mlp.down_proj.weight.zero_()
    quantise(model, 4)
    assert not model.model.layers[1].mlp.down_proj.weight.any()


@pytest.mark.parametrize(
    ("count", "layers", "dropped"), [(1, 3, (1,)), (1, 5, (2,)), (4, 6, (1, 2, 3, 4)), (4, 30, (4, 11, 18, 25))]
)
def test_dropped_layers_are_spread_between_first_and_last(count, layers, dropped):
    assert dropped_layers(count, layers) == dropped


@pytest.mark.parametrize(("count", "layers"), [(2, 3), (0, 5), (1, 2), (29, 30)])
def test_too_many_layers_cannot_be_dropped(count, layers):
    with pytest.raises(RequestError, match="cannot be dropped"):
        dropped_layers(count, layers)


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_a_dropped_layer_is_one_that_passes_its_input_on(family):
    """The oracle: the whole model with the layer skipped by a hook."""
    model, whole = tiny_model(family), tiny_model(family)
    assert drop_layers(model, 1) == (1,)
    assert model.config.num_hidden_layers == 2

    def skip(module, args, kwargs, output):
        entered = args[0] if args else kwargs["hidden_states"]
        return (entered, *output[1:]) if isinstance(output, tuple) else entered

    decoder_layers(whole)[1].register_forward_hook(skip, with_kwargs=True)
    with torch.no_grad():
        torch.testing.assert_close(
            model(IDS, use_cache=False).logits, whole(IDS, use_cache=False).logits, atol=1e-5, rtol=1e-5
        )


def test_kept_layers_keep_their_kind_of_attention():
    model = tiny_model("gemma3_text", num_hidden_layers=5)
    model.config.layer_types[4] = "full_attention"
    drop_layers(model, 2)
    assert model.config.layer_types == ["sliding_attention", "sliding_attention", "full_attention"]
    model = tiny_model("gemma3_text")
    model.config.layer_types = ["sliding_attention"] * 3
    drop_layers(model, 1)
    assert model.config.layer_types == ["sliding_attention"] * 2


def test_merged_weights_are_the_mean_and_the_other_model_is_left_alone():
    ours, first, second = tiny_model("qwen2", 1), tiny_model("qwen2", 1), tiny_model("qwen2", 2)
    merge(ours, second)
    again = tiny_model("qwen2", 2)
    for merged, a, b, c in zip(*(m.parameters() for m in (ours, first, second, again)), strict=True):
        np.testing.assert_allclose(merged.numpy(), (a.numpy() + b.numpy()) / 2, atol=1e-6)
        assert torch.equal(b, c)
    shared = tiny_model("qwen2", 1)
    merge(shared, second, share=0.2)
    for merged, a, b in zip(*(m.parameters() for m in (shared, first, second)), strict=True):
        np.testing.assert_allclose(merged.numpy(), 0.8 * a.numpy() + 0.2 * b.numpy(), atol=1e-6)


def test_models_of_other_shapes_are_not_merged_and_nothing_changes():
    ours = tiny_model("llama")
    for other, sentence in (
        (tiny_model("llama", num_hidden_layers=2), "different tensors"),
        (tiny_model("llama", intermediate_size=44), "40 x 24 in one model and 44 x 24 in the other"),
    ):
        with pytest.raises(RequestError, match=sentence):
            merge(ours, other)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), tiny_model("llama").parameters(), strict=True))


def test_dense_layers_of_a_mixture_stay_dense_when_another_is_dropped():
    model = tiny_model("qwen3_moe", num_hidden_layers=4, mlp_only_layers=[2])
    before = [hasattr(layer.mlp, "experts") for layer in decoder_layers(model)]
    assert before == [True, True, False, True] and drop_layers(model, 1) == (2,)
    assert model.config.mlp_only_layers == []
    model = tiny_model("qwen3_moe", num_hidden_layers=5, mlp_only_layers=[3])
    assert drop_layers(model, 1) == (2,) and model.config.mlp_only_layers == [2]


@pytest.mark.parametrize("family", MIXTURES)
def test_noise_reaches_every_expert_in_proportion_and_rounding_is_refused(family):
    model, before = tiny_model(family), tiny_model(family)
    add_noise(model, 0.1, torch.Generator().manual_seed(0))
    pairs = [mixture_of(mixture.model.layers[0])[0].experts.parameters() for mixture in (model, before)]
    for new, old in zip(*pairs, strict=True):
        if new.ndim == 3:
            for expert in range(5):
                assert 0.08 < (new[expert] - old[expert]).std() / old[expert].std() < 0.12
    with pytest.raises(RequestError, match="mixture of experts and rounding weights is made for one MLP per layer"):
        quantise(model, 4)


def test_a_list_of_equal_layer_types_is_cut_with_the_layers(tmp_path):
    """Qwen2's configuration lists them whatever they are, and refuses to be saved with another number of layers."""
    model = tiny_model("qwen2")
    drop_layers(model, 1)
    assert len(model.config.layer_types) == model.config.num_hidden_layers == 2
    model.save_pretrained(tmp_path)
