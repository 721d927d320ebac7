"""Weights packed by hand in the layouts of the libraries that quantise models, and tiny models packed so."""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from support.tiny_models import tiny_model, tiny_tokenizer

SIZES = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 16}
GROUP = 32


def packed(numbers: torch.Tensor, bits: int) -> torch.Tensor:
    """Rows of whole numbers laid end to end in 32-bit words, lowest bit first, by arithmetic on one large number."""
    rows = []
    for row in numbers.tolist():
        whole = sum(int(number) << (bits * place) for place, number in enumerate(row))
        words = math.ceil(len(row) * bits / 32)
        rows.append([(whole >> (32 * word)) & 0xFFFFFFFF for word in range(words)])
    return torch.tensor(rows, dtype=torch.int64).to(torch.uint32).view(torch.int32)


def rounded(weight: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Whole numbers [O, I], scales [O, G] and zero points [O, G] of at least 1 that stand for a weight."""
    grouped = weight.unflatten(1, (-1, GROUP))
    low, high = grouped.amin(-1, keepdim=True), grouped.amax(-1, keepdim=True)
    scale = ((high - low) / (2**bits - 1)).half().float()
    zero = (-low / scale).round().clamp(1, 2**bits - 1)
    numbers = (grouped / scale + zero).round().clamp(0, 2**bits - 1)
    return numbers.flatten(1), scale[..., 0], zero[..., 0]


def gptq(weight, settings):
    numbers, scale, zero = rounded(weight, settings["bits"])
    order = torch.randperm(weight.shape[1])
    group = torch.arange(weight.shape[1])[order] // GROUP
    stored = zero - 1 if settings.get("checkpoint_format") != "gptq_v2" else zero
    plain = (numbers[:, order] - zero[:, group]) * scale[:, group]
    return plain, {
        "qweight": packed(numbers[:, order], settings["bits"]).T.contiguous(),
        "qzeros": packed(stored.T, settings["bits"]),
        "scales": scale.T.half().contiguous(),
        "g_idx": group.int(),
    }


def awq(weight, settings):
    numbers, scale, zero = rounded(weight, 4)
    plain = (numbers - zero.repeat_interleave(GROUP, 1)) * scale.repeat_interleave(GROUP, 1)
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    mixed = [part.T.unflatten(1, (-1, 8))[..., order].flatten(1) for part in (numbers, zero)]
    names = ("qweight", "qzeros")
    return plain, {name: packed(part, 4) for name, part in zip(names, mixed, strict=True)} | {
        "scales": scale.T.half().contiguous()
    }


def awq_gemv(weight, settings):
    """Outputs by inputs, and as much room for scales and zero points as whole words and the kernel ask for."""
    numbers, scale, zero = rounded(weight, 4)
    plain = (numbers - zero.repeat_interleave(GROUP, 1)) * scale.repeat_interleave(GROUP, 1)
    room = torch.zeros(len(weight), 32 - scale.shape[1])
    return plain, {
        "qweight": packed(numbers, 4),
        "qzeros": packed(torch.cat([zero, room], 1), 4),
        "scales": torch.cat([scale, room], 1).half(),
    }


def awq_gemv_fast(weight, settings):
    """Each number to its place: 32 inputs shuffled twice, then four outputs side by side in stretches of 64 inputs."""
    numbers, scale, zero = rounded(weight, 4)
    outputs, inputs = weight.shape
    words = torch.zeros(outputs // 4, inputs, dtype=torch.int32)
    for o in range(outputs):
        for i in range(inputs):
            first = i % 8 // 2 * 8 + i % 32 // 8 * 2 + i % 2
            second = first // 8 * 8 + first % 2 * 4 + first % 8 // 2
            stretch, place = divmod(i // 32 * 32 + second, 64)
            word, nibble = divmod(o % 4 * 64 + place, 4)
            words[o // 4, 64 * stretch + word] |= int(numbers[o, i]) << 4 * nibble
    room = torch.zeros(32 - scale.shape[1], outputs)
    stored = {"scales": scale.T.half(), settings.get("zeros", "qzeros"): -(scale * zero).T.half()}
    spread = [part.float().T.repeat_interleave(GROUP, 1) for part in stored.values()]
    return numbers * spread[0] + spread[1], {
        "qweight": torch.where(words > 2**15 - 1, words - 2**16, words).to(torch.int16),
        **{name: torch.cat([part, room.half()]) for name, part in stored.items()},
    }


def nvfp4(weight, settings):
    sizes = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    values = torch.tensor(sizes + [-size for size in sizes])
    codes = torch.randint(0, 16, weight.shape)
    scale = (torch.rand(len(weight), weight.shape[1] // 16) + 0.5).to(torch.float8_e4m3fn)
    whole = torch.tensor(0.01)
    plain = values[codes] * scale.float().repeat_interleave(16, 1) * whole
    halves = codes.unflatten(1, (-1, 2))
    return plain, {
        "weight": (halves[..., 0] + 16 * halves[..., 1]).to(torch.uint8),
        "weight_scale": scale,
        "weight_scale_2": whole,
        "input_scale": torch.tensor(0.3),
    }


def modelopt_fp8(weight, settings):
    scale = weight.abs().amax() / 448
    stored = (weight / scale).to(torch.float8_e4m3fn)
    parts = {"weight": stored, "weight_scale": scale, "input_scale": torch.tensor(0.3), "k_scale": torch.tensor(0.1)}
    return stored.float() * scale, parts


def encoded(value) -> torch.Tensor:
    """A setting as HQQ keeps it among tensors: text as its bytes."""
    if isinstance(value, str):
        return torch.tensor([ord(letter) for letter in value], dtype=torch.uint8)
    return torch.tensor(value, dtype=torch.int64 if isinstance(value, tuple) else torch.int32)


def hqq(weight, settings):
    bits, axis = (settings["quant_config"]["weight_quant_params"][name] for name in ("nbits", "axis"))
    rows = weight.reshape(-1, GROUP) if axis else weight.reshape(GROUP, -1)
    scale = (rows.amax(axis, keepdim=True) - rows.amin(axis, keepdim=True)) / (2**bits - 1)
    zero = -rows.amin(axis, keepdim=True) / scale
    numbers = (rows / scale + zero).round().clamp(0, 2**bits - 1)
    each = 10 if bits == 3 else 8 // bits
    filled = torch.cat([numbers.int(), torch.zeros(-len(numbers) % each, numbers.shape[1], dtype=torch.int32)])
    stored = sum(part << bits * (each - 1 - place) for place, part in enumerate(filled.chunk(each)))
    about = {"shape": tuple(weight.shape), "nbits": bits, "group_size": GROUP, "axis": axis, "packing": f"{bits}bit_u8",
             "compute_dtype": "torch.float16", "view_as_float": 0}  # fmt: skip
    return ((numbers - zero) * scale).reshape(weight.shape), {
        "W_q": stored if bits == 3 else stored.to(torch.uint8),
        "scale": scale,
        "zero": zero,
        **{name: encoded(value) for name, value in about.items()},
    }


def hqq_settings(bits: int, axis: int) -> dict:
    params = {"nbits": bits, "group_size": GROUP, "axis": axis, "channel_wise": True}
    return {"quant_method": "hqq", "quant_config": {"weight_quant_params": params}}


def quanto(weight, settings):
    """One scale for each output; beside it the scales of activations, which are not rounded here."""
    scale = weight.abs().amax(1, keepdim=True) / settings["largest"]
    data = (weight / scale).round() if settings["largest"] == 127 else weight / scale
    stored = data.to(torch.int8 if settings["largest"] == 127 else torch.float8_e4m3fn)
    parts = {
        "weight._data": stored,
        "weight._scale": scale,
        "input_scale": torch.ones(()),
        "output_scale": torch.ones(()),
    }
    return stored.float() * scale, parts


def quanto_groups(weight, settings):
    """Groups of one row each; the first rows in the lowest bits of the bytes."""
    bits = settings["bits"]
    numbers, scale, zero = rounded(weight, bits)
    rows, scale, zero = numbers.reshape(-1, GROUP), scale.reshape(-1, 1), zero.reshape(-1, 1)
    stored = sum(part.int() << bits * place for place, part in enumerate(rows.chunk(8 // bits)))
    shift = zero.to(torch.uint8) if settings["whole"] else zero * scale
    plain = ((rows - zero) * scale).reshape(weight.shape)
    return plain, {"weight._data._data": stored.to(torch.uint8), "weight._scale": scale, "weight._shift": shift}


def mlx(weight, settings):
    numbers, scale, zero = rounded(weight, settings["bits"])
    shift = -scale * zero
    plain = numbers * scale.repeat_interleave(GROUP, 1) + shift.repeat_interleave(GROUP, 1)
    return plain, {"weight": packed(numbers, settings["bits"]).view(torch.uint32), "scales": scale, "biases": shift}


def fp8(weight, settings):
    height, width = settings["weight_block_size"]
    scale = torch.rand(math.ceil(weight.shape[0] / height), math.ceil(weight.shape[1] / width)) + 0.5
    spread = scale.repeat_interleave(height, 0)[: len(weight)].repeat_interleave(width, 1)[:, : weight.shape[1]]
    stored = (weight / spread).to(torch.float8_e4m3fn)
    return stored.float() * spread, {"weight": stored, "weight_scale_inv": scale}


def fbgemm_fp8(weight, settings):
    scale = weight.abs().amax(1, keepdim=True) / 448
    stored = (weight / scale).to(torch.float8_e4m3fn)
    return stored.float() * scale, {"weight": stored, "weight_scale": scale, "input_scale_ub": torch.ones(1)}


def eight_bits(weight, settings):
    scale = weight.abs().amax(1)
    stored = (weight / scale[:, None] * 127).round().to(torch.int8)
    return stored.float() * (scale / 127)[:, None], {
        "weight": stored,
        "SCB": scale,
        "weight_format": torch.tensor(0, dtype=torch.uint8),
    }


CASES = {
    "gptq-4": (gptq, {"quant_method": "gptq", "bits": 4, "group_size": GROUP}),
    "gptq-3": (gptq, {"quant_method": "gptq", "bits": 3, "group_size": GROUP}),
    "gptq-v2": (gptq, {"quant_method": "gptq", "bits": 8, "checkpoint_format": "gptq_v2", "group_size": GROUP}),
    "awq": (awq, {"quant_method": "awq", "bits": 4, "version": "gemm", "group_size": GROUP}),
    "mlx-4": (mlx, {"bits": 4, "group_size": GROUP}),
    "mlx-6": (mlx, {"bits": 6, "group_size": GROUP}),
    "fp8": (fp8, {"quant_method": "fp8", "weight_block_size": [32, 16]}),
    "fp8-uneven": (fp8, {"quant_method": "fp8", "weight_block_size": [48, 48]}),
    "fbgemm": (fbgemm_fp8, {"quant_method": "fbgemm_fp8"}),
    "awq-gemv": (awq_gemv, {"quant_method": "awq", "bits": 4, "version": "gemv", "group_size": GROUP}),
    "awq-gemv-fast": (awq_gemv_fast, {"quant_method": "awq", "bits": 4, "version": "gemv_fast", "group_size": GROUP}),
    "awq-scaled": (
        awq_gemv_fast,
        {"quant_method": "awq", "bits": 4, "version": "gemv_fast", "q_group_size": GROUP, "zeros": "scaled_zeros"},
    ),
    "nvfp4": (nvfp4, {"quant_method": "modelopt", "quant_algo": "NVFP4"}),
    "modelopt-fp8": (modelopt_fp8, {"quant_method": "modelopt", "quant_algo": "FP8"}),
    "hqq-4": (hqq, hqq_settings(4, 1)),
    "hqq-3": (hqq, hqq_settings(3, 1)),
    "hqq-2": (hqq, hqq_settings(2, 0)),
    "hqq-8": (hqq, hqq_settings(8, 1)),
    "bitsandbytes-8": (eight_bits, {"quant_method": "bitsandbytes", "load_in_8bit": True}),
}


def quantised_folder(folder: Path, pack, settings: dict, model=None, said=True) -> dict[str, torch.Tensor]:
    """Save a tiny model with its projections packed; returns the plain weights that the packed ones stand for."""
    model = model or tiny_model("llama", **SIZES)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    stored, plain = {}, {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        if "_proj." in name and name.endswith(".weight") and "visual" not in name:
            plain[name], parts = pack(tensor, settings)
            stored |= {f"{name.removesuffix('weight')}{leaf}": part for leaf, part in parts.items()}
        else:
            stored[name] = plain[name] = tensor
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    if said:
        describe(folder, settings)
    return plain


def describe(folder: Path, settings: dict) -> None:
    config = json.loads((folder / "config.json").read_text())
    keys = ("quantization_config",) if "quant_method" in settings else ("quantization", "quantization_config")
    (folder / "config.json").write_text(json.dumps(config | dict.fromkeys(keys, settings)))
