"""Quantised weights as plain ones: each layout packed by hand, the libraries' own where installed, each refusal."""

import json
import sys
from importlib import util

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.quantised import (
    CASES,
    GROUP,
    SIZES,
    describe,
    mlx,
    quantised_folder,
    quanto,
    quanto_groups,
)
from support.tiny_models import save_tiny, tiny_model, tiny_tokenizer, tiny_wrapper
from transformers import AutoModelForCausalLM

from fnet_core.cli.main import main
from fnet_core.errors import RequestError
from fnet_core.models import dequantising, quantised, unpacking
from fnet_core.models.cards import peek
from fnet_core.models.folder import published_name, tensor_headers
from fnet_core.models.loading import load, model_digest, resolve
from fnet_core.storage.artifacts import home

IDS = torch.arange(4, 33)[None]


@pytest.mark.parametrize("case", CASES)
def test_a_packed_model_has_the_weights_that_were_packed(tmp_path, case):
    plain = quantised_folder(tmp_path / case, *CASES[case])
    loaded = load(str(tmp_path / case))
    weights = dict(loaded.model.named_parameters())
    for name, expected in plain.items():
        torch.testing.assert_close(weights[name], expected, rtol=1e-6, atol=1e-6)
    assert loaded.stored.dtype == "float32"
    assert published_name(str(tmp_path / case), loaded.path) == case


QUANTO = {
    "int8": (quanto, {"largest": 127}),
    "float8": (quanto, {"largest": 448}),
    "int4": (quanto_groups, {"bits": 4, "whole": False}),
    "int2": (quanto_groups, {"bits": 2, "whole": True}),
}


@pytest.mark.parametrize("case", QUANTO)
def test_a_method_that_says_so_in_a_file_beside_the_configuration(tmp_path, case):
    plain = quantised_folder(tmp_path / case, *QUANTO[case], said=False)
    (tmp_path / case / "quanto_qmap.json").write_text("{}")
    weights = dict(load(str(tmp_path / case)).model.named_parameters())
    for name, expected in plain.items():
        torch.testing.assert_close(weights[name], expected, rtol=1e-6, atol=1e-6)
    plain = quantised_folder(tmp_path / "nvfp4", *CASES["nvfp4"], said=False)
    (tmp_path / "nvfp4" / "hf_quant_config.json").write_text(json.dumps({"quantization": {"quant_algo": "NVFP4"}}))
    weights = dict(load(str(tmp_path / "nvfp4")).model.named_parameters())
    assert all(torch.allclose(weights[name], expected, atol=1e-6) for name, expected in plain.items())


@pytest.mark.parametrize("family", ["qwen3_moe", "mixtral"])
def test_the_experts_of_an_mlx_mixture_lie_side_by_side(tmp_path, family):
    settings = {"bits": 4, "group_size": GROUP}
    model = tiny_model(family, hidden_size=64, intermediate_size=128, moe_intermediate_size=32, head_dim=16)
    model.save_pretrained(tmp_path / "plain")
    tensors = load_file(tmp_path / "plain" / "model.safetensors")
    names = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}
    stored, side_by_side = {}, {}
    for name, tensor in tensors.items():
        head, _, tail = name.partition(".experts.")
        if not tail:
            stored[name] = tensor
            continue
        expert, projection, _ = tail.split(".")
        tensors[name], parts = mlx(tensor, settings)
        for leaf, part in parts.items():
            place = f"{head}.switch_mlp.{names.get(projection, projection)}.{leaf}"
            side_by_side.setdefault(place, {})[int(expert)] = part
    stored |= {name: torch.stack([part[e] for e in sorted(part)]) for name, part in side_by_side.items()}
    model.save_pretrained(tmp_path / "m")
    save_file(stored, tmp_path / "m" / "model.safetensors", metadata={"format": "pt"})
    tiny_tokenizer().save_pretrained(tmp_path / "m")
    describe(tmp_path / "m", settings)
    save_file(tensors, tmp_path / "plain" / "model.safetensors", metadata={"format": "pt"})
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    assert len(side_by_side) == 3 * 3 * 3
    torch.testing.assert_close(load(str(tmp_path / "m")).model(IDS).logits, theirs(IDS).logits, atol=1e-5, rtol=0)


def test_it_is_turned_once_and_said_each_time(tmp_path, caplog, monkeypatch):
    quantised_folder(tmp_path / "m", *CASES["fp8"])
    first = resolve(str(tmp_path / "m"))
    monkeypatch.setattr(dequantising, "dequantise", lambda *_: pytest.fail("it was turned again"))
    assert resolve(str(tmp_path / "m")).path == first.path and first.path.parent == home() / "models"
    said = [record.message for record in caplog.records if "quantised by fp8" in record.message]
    assert len(said) == 2 and "rounding of activations that its own kernels do is left out" in said[0]
    assert "quantised by fp8" in peek(str(tmp_path / "m")).description


def test_another_packing_is_another_model(tmp_path):
    found = set()
    for case in ("gptq-4", "awq"):
        quantised_folder(tmp_path / case, *CASES[case])
        found.add(model_digest(resolve(str(tmp_path / case)).path))
    settings = CASES["gptq-4"][1] | {"checkpoint_format": "gptq_v2"}
    describe(tmp_path / "gptq-4", settings)
    found.add(model_digest(resolve(str(tmp_path / "gptq-4")).path))
    assert len(found) == 3


def test_fp8_is_what_the_library_makes_of_it_without_a_gpu(tmp_path):
    quantised_folder(tmp_path / "m", *CASES["fp8"])
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32)
    assert torch.equal(load(str(tmp_path / "m")).model(IDS).logits, theirs(IDS).logits)


def test_experts_in_mxfp4_are_those_that_the_bytes_stand_for(tmp_path):
    values = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    values += [-value for value in values]
    model = tiny_model("gpt_oss", hidden_size=32, intermediate_size=64, head_dim=8)
    model.save_pretrained(tmp_path / "m")
    tiny_tokenizer().save_pretrained(tmp_path / "m")
    tensors = load_file(tmp_path / "m" / "model.safetensors")
    expected = {}
    for name in [name for name in tensors if name.endswith(("gate_up_proj", "down_proj"))]:
        experts, inputs, outputs = tensors.pop(name).shape
        halves = torch.randint(0, 16, (experts, outputs, inputs // 32, 16, 2))
        scales = torch.randint(120, 130, (experts, outputs, inputs // 32), dtype=torch.uint8)
        tensors[f"{name}_blocks"] = (halves[..., 0] + 16 * halves[..., 1]).to(torch.uint8)
        tensors[f"{name}_scales"] = scales
        plain = torch.tensor(values)[halves].flatten(3) * torch.exp2(scales.float() - 127)[..., None]
        expected[name] = plain.flatten(2).transpose(1, 2)
    save_file(tensors, tmp_path / "m" / "model.safetensors", metadata={"format": "pt"})
    describe(tmp_path / "m", {"quant_method": "mxfp4"})
    weights = dict(load(str(tmp_path / "m")).model.named_parameters())
    assert len(expected) == 6
    for name, plain in expected.items():
        assert torch.equal(weights[name], plain)


def test_the_text_model_inside_another_one_alone_is_turned(tmp_path):
    plain = quantised_folder(tmp_path / "m", *CASES["awq"], model=tiny_wrapper("qwen2_5_vl", **SIZES))
    loaded = load(str(tmp_path / "m"))
    name = "model.layers.1.mlp.down_proj.weight"
    (whole,) = (tensor for key, tensor in plain.items() if key.endswith(name.removeprefix("model.")))
    torch.testing.assert_close(dict(loaded.model.named_parameters())[name], whole)
    assert not any("visual" in tensor.name for tensor in tensor_headers(loaded.path))


def test_many_files_are_written_where_one_would_be_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(dequantising, "SHARD_BYTES", 50_000)
    plain = quantised_folder(tmp_path / "m", *CASES["mlx-4"])
    loaded = load(str(tmp_path / "m"))
    assert len(list(loaded.path.glob("model-*-of-*.safetensors"))) > 2
    assert all(torch.allclose(dict(loaded.model.named_parameters())[name], plain[name]) for name in plain)


def test_the_operations_that_change_weights_work_on_the_plain_ones(tmp_path, capsys):
    quantised_folder(tmp_path / "m", *CASES["gptq-4"])
    assert main(["derive", str(tmp_path / "m"), "--how", "noise:0.01", "--out", str(tmp_path / "noisy")]) == 0
    config = json.loads((tmp_path / "noisy" / "config.json").read_text())
    assert "quantization_config" not in config
    assert "quantised by gptq" in capsys.readouterr().err
    assert str(tmp_path) not in (tmp_path / "noisy" / "fnet.json").read_text()


# Refusals


REFUSALS = [
    ({"quant_method": "aqlm"}, "quantised by aqlm, and FNet reads bitsandbytes, gptq, awq, fp8, .* and MLX; choose"),
    ({"quant_method": "bitsandbytes", "load_in_4bit": True}, r"install bitsandbytes \(pip install bitsandbytes\)"),
    ({"quant_method": "compressed-tensors"}, r"install compressed-tensors \(pip install compressed-tensors\)"),
    (
        {"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"},
        "in the layout marlin, and FNet reads gptq or",
    ),
    ({"quant_method": "gptq", "bits": 5}, "by gptq to 5 bits, and FNet reads 2, 3, 4, 8; choose"),
    (
        {"quant_method": "awq", "bits": 4, "version": "llm-awq"},
        "in the layout llm-awq, and FNet reads gemm or gemv or gemv_fast;",
    ),
    ({"quant_method": "modelopt", "quant_algo": "W4A8_AWQ"}, "in the layout w4a8_awq, and FNet reads fp8 or nvfp4;"),
    ({"bits": 4, "group_size": 32, "mode": "mxfp4"}, "quantised by MLX in the layout mxfp4"),
    ({"load_in_4bit": "?"}, "quantised by an unnamed method"),
]


@pytest.mark.parametrize(("settings", "sentence"), REFUSALS, ids=[str(i) for i in range(len(REFUSALS))])
def test_what_cannot_be_read_is_refused_before_a_weight_is_read(tmp_path, monkeypatch, capsys, settings, sentence):
    folder = save_tiny(tmp_path / "m")
    describe(folder, settings)
    monkeypatch.setattr(quantised, "find_spec", lambda name: None)
    monkeypatch.setattr(dequantising, "safe_open", lambda *_, **__: pytest.fail("weights were read"))
    with pytest.raises(RequestError, match=sentence):
        resolve(str(folder))
    with pytest.raises(RequestError, match=sentence):
        peek(str(folder))
    capsys.readouterr()
    assert main(["perplexity", str(folder)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not list((home() / "models").glob("m-*"))


def test_weights_that_are_not_packed_as_the_configuration_says(tmp_path):
    quantised_folder(tmp_path / "m", *CASES["mlx-4"])
    describe(tmp_path / "m", CASES["awq"][1])
    with pytest.raises(RequestError, match="is in no layout of awq that FNet knows"):
        load(str(tmp_path / "m"))
    tensors = load_file(tmp_path / "m" / "model.safetensors")
    name = next(name for name in tensors if name.endswith(".biases"))
    del tensors[name]
    save_file(tensors, tmp_path / "m" / "model.safetensors", metadata={"format": "pt"})
    describe(tmp_path / "m", CASES["mlx-4"][1])
    with pytest.raises(RequestError, match="cannot be unpacked as MLX"):
        load(str(tmp_path / "m"))


@pytest.mark.parametrize("module", ["bitsandbytes.functional", "compressed_tensors.entrypoints.convert"])
def test_a_library_that_cannot_be_used_is_named(tmp_path, monkeypatch, module):
    name = module.partition(".")[0].replace("_", "-")
    folder = save_tiny(tmp_path / "m")
    describe(folder, {"quant_method": name, "load_in_4bit": True})
    monkeypatch.setattr(quantised, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, module.partition(".")[0], None)
    with pytest.raises(RequestError, match=rf"does not read .*; install a newer one \(pip install -U {name}\)"):
        resolve(str(folder))


# What the libraries make


def library(name: str) -> None:
    if util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


@pytest.mark.parametrize("twice", [False, True])
def test_four_bits_of_bitsandbytes_are_its_own_model(tmp_path, twice):
    library("bitsandbytes")
    from transformers import BitsAndBytesConfig

    tiny_model("llama", **SIZES).save_pretrained(tmp_path / "plain")
    settings = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=twice)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "plain", quantization_config=settings, dtype=torch.float32)
    theirs.save_pretrained(tmp_path / "m")
    tiny_tokenizer().save_pretrained(tmp_path / "m")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32)
    torch.testing.assert_close(load(str(tmp_path / "m")).model(IDS).logits, again(IDS).logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("symmetric", [True, False])
def test_compressed_tensors_are_within_half_a_step_of_what_was_compressed(tmp_path, symmetric):
    library("compressed_tensors")
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationConfig, QuantizationScheme
    from compressed_tensors.quantization import apply_quantization_config as apply
    from compressed_tensors.quantization.utils import calculate_qparams

    model = tiny_model("llama", **SIZES)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    weights = QuantizationArgs(num_bits=4, symmetric=symmetric, strategy="group", group_size=GROUP)
    scheme = QuantizationScheme(targets=["Linear"], weights=weights)
    apply(model, QuantizationConfig(config_groups={"a": scheme}, ignore=["lm_head"], format="pack-quantized"))
    steps = {}
    for name, module in model.named_modules():
        if hasattr(module, "quantization_scheme"):
            grouped = module.weight.unflatten(1, (-1, GROUP))
            steps[f"{name}.weight"], zero = calculate_qparams(grouped.amin(-1), grouped.amax(-1), weights)
            module.weight_scale.data.copy_(steps[f"{name}.weight"])
            if not symmetric:
                module.weight_zero_point.data.copy_(zero)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    model.save_pretrained(tmp_path / "m")
    compressor.update_config(str(tmp_path / "m"))
    tiny_tokenizer().save_pretrained(tmp_path / "m")
    found = dict(load(str(tmp_path / "m")).model.named_parameters())
    for name, weight in before.items():
        apart = (found[name] - weight).abs()
        allowed = steps[name].repeat_interleave(GROUP, 1) * (0.501 if not symmetric else 1.001) if name in steps else 0
        assert (apart <= allowed + 1e-6).all()
        assert (name in steps) == bool(apart.max() > 0)


def test_as_many_blocks_as_outputs_are_blocks_all_the_same():
    scale = torch.rand(2, 128) + 0.5
    weight = torch.randn(256, 16_384)
    found = unpacking._fp8({"weight": weight, "weight_scale_inv": scale}, (128, 128))["weight"]
    torch.testing.assert_close(found, weight * scale.repeat_interleave(128, 0).repeat_interleave(128, 1))
    one_each = torch.rand(256)
    found = unpacking._fp8({"weight": weight, "weight_scale": one_each}, (128, 128))["weight"]
    torch.testing.assert_close(found, weight * one_each[:, None])
