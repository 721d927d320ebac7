"""Gate and up signals against what the modules give, token by token."""

import numpy as np
import pytest
import torch
from support.loading import loaded_tiny

from fnet_core.errors import RequestError
from fnet_core.lineage.grid import POINTS, points_of
from fnet_core.lineage.neuron_signals import read_signals, read_signatures
from fnet_core.lineage.signatures import bytes_each, projections, signs
from fnet_core.models.modules import mlp_projections
from fnet_core.texts import Passage

PASSAGES = (Passage("one", "It rained all day, and nobody minded.", "test"), Passage("two", "A cat sat on it.", "test"))


@pytest.mark.parametrize(("family", "fused"), [("llama", False), ("phi3", True), ("gemma3_text", False), ("glm", True)])
def test_they_are_what_the_projections_give(family, fused):
    loaded = loaded_tiny(family)
    (found,) = read_signals(loaded, PASSAGES, [1], [np.array([7, 3, 30])])
    seen = []
    body = loaded.model.base_model
    mlp = body.layers[1].mlp
    gate, up = (mlp.gate_up_proj, mlp.gate_up_proj) if fused else (mlp.gate_proj, mlp.up_proj)
    for passage in PASSAGES:
        inputs = []
        hook = gate.register_forward_pre_hook(lambda module, args, into=inputs: into.append(args[0]))
        body(input_ids=torch.tensor([loaded.tokenizer(passage.text)["input_ids"]]))
        hook.remove()
        own = torch.nn.functional.linear(inputs[0][0], gate.weight)[::4][:, :40]
        other = torch.nn.functional.linear(inputs[0][0], up.weight)[::4][:, -40:]
        seen.append([values.numpy().T[[7, 3, 30]] for values in (own, other)])
    for which, values in enumerate((found.gate_NG, found.up_NG)):
        parts = [part[which] - part[which].mean(axis=1, keepdims=True) for part in seen]
        parts = [part / np.linalg.norm(part, axis=1, keepdims=True) / np.sqrt(2) for part in parts]
        np.testing.assert_allclose(values, np.concatenate(parts, axis=1), atol=1e-5)


def test_a_models_signatures_are_the_signs_of_its_signals():
    loaded = loaded_tiny("llama")
    found = read_signatures(loaded, PASSAGES)
    signals = read_signals(loaded, PASSAGES, range(3))
    edge = found.points[0]
    for at, bits_MPB in (("gate_NG", found.gate_MPB), ("up_NG", found.up_MPB)):
        every_MG = np.concatenate([getattr(layer, at) for layer in signals])
        for passage, part in enumerate((every_MG[:, :edge], every_MG[:, edge:])):
            sums_ND = part @ projections(part.shape[1], passage, bytes_each(2))
            clear_ND = np.abs(sums_ND) > 1e-5  # of a short text some sums are 0 but for rounding
            here, there = (np.unpackbits(bits, axis=1) for bits in (bits_MPB[:, passage], signs(part, passage, 2)))
            assert (here == there)[clear_ND].all() and clear_ND.mean() > 0.8
    weights = mlp_projections(loaded.model)[1].up[0].weight
    with torch.no_grad():
        weights[5] = 0
    silent = read_signatures(loaded, PASSAGES).gate_MPB[[40 + 5, 40 + 6]]
    assert not silent[0].any() and silent[1].any()


def test_long_texts_are_read_at_wider_steps():
    long = Passage("long", "x" * (POINTS * 4 * 2 + 5), "test")
    (positions,) = points_of([long])
    assert len(positions) <= POINTS and set(np.diff(positions)) == {12}


def test_a_mixture_is_refused_in_a_sentence():
    with pytest.raises(RequestError, match="mixture of experts and the independence test"):
        read_signals(loaded_tiny("olmoe"), PASSAGES, [0])
