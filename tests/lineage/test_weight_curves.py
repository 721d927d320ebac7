"""Attention-weight curves against weights taken from the modules by hand."""

import numpy as np
import pytest
import torch
from accelerate import disk_offload
from support.tiny_models import tiny_model

from fnet_core.lineage.weight_curves import compare_curves, normalised, stretched, weight_curves
from fnet_core.models.modules import attention_weights


def spread(weight: torch.Tensor) -> float:
    return float(weight.double().numpy().std())


def curves_of(model) -> np.ndarray:
    return weight_curves(attention_weights(model))


def test_separate_projections():
    model = tiny_model("llama")
    curves = curves_of(model)
    for i, layer in enumerate(model.model.layers):
        attention = layer.self_attn
        modules = (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj)
        np.testing.assert_allclose(curves[:, i], [spread(m.weight) for m in modules], rtol=1e-5)


def test_fused_rows_and_fused_columns():
    phi = tiny_model("phi3")
    fused = phi.model.layers[1].self_attn.qkv_proj.weight
    q, k, v = fused[:24], fused[24:36], fused[36:48]
    np.testing.assert_allclose(curves_of(phi)[:3, 1], [spread(q), spread(k), spread(v)], rtol=1e-5)
    gpt = tiny_model("gpt2")
    gpt.transformer.h[2].attn.c_attn.weight[:, 24:48] *= 3
    columns = gpt.transformer.h[2].attn.c_attn.weight
    expected = [spread(columns[:, i * 24 : (i + 1) * 24]) for i in range(3)]
    np.testing.assert_allclose(curves_of(gpt)[:3, 2], expected, rtol=1e-5)


def test_interleaved_heads():
    model = tiny_model("gpt_neox")
    weight = model.gpt_neox.layers[0].attention.query_key_value.weight
    weight.view(4, 3, 6, 24)[:, 2] *= 5
    expected = [spread(weight.view(4, 3, 6, 24)[:, i]) for i in range(3)]
    np.testing.assert_allclose(curves_of(model)[:3, 0], expected, rtol=1e-5)


def test_weights_kept_on_disk(tmp_path):
    model = tiny_model("qwen2")
    expected = curves_of(model)
    offloaded = disk_offload(model, tmp_path, execution_device=torch.device("cpu"))
    assert next(offloaded.parameters()).device.type == "meta"
    np.testing.assert_array_equal(curves_of(offloaded), expected)


def test_pearson_of_each_curve_and_their_mean():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 2, (4, 7)), rng.uniform(1, 2, (4, 7))
    found = compare_curves(a, b)
    expected = [np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)]
    assert [found.q, found.k, found.v, found.o] == pytest.approx(expected)
    assert found.mean == pytest.approx(np.mean(expected))
    assert compare_curves(b, a).mean == pytest.approx(found.mean)


def test_scale_does_not_matter_and_depth_is_relative():
    ramp = np.linspace(1, 3, 5) ** 2
    short = np.stack([ramp, ramp[::-1], np.sin(ramp), ramp])
    long = stretched(short, 17) * 40 + 3
    assert long[:, [0, -1]] == pytest.approx(short[:, [0, -1]] * 40 + 3)
    found = compare_curves(short, long)
    assert [found.q, found.k, found.v, found.o] == pytest.approx([1] * 4)


def test_flat_curves_have_no_correlation():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(1, 2, (4, 6)), rng.uniform(1, 2, (4, 6))
    b[2] = 0.7
    found = compare_curves(a, b)
    assert found.v is None and found.mean == pytest.approx(np.mean([found.q, found.k, found.o]))
    assert np.isnan(normalised(b)[2]).all()
    assert compare_curves(np.ones((4, 3)), b).mean is None
    assert compare_curves(a[:, :1], b).mean is None
