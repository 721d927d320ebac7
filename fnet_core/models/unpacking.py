"""The layouts in which quantised weights are stored, and the plain numbers that each of them stands for.

GPTQ, AWQ, MLX, fp8, nvfp4, HQQ, quanto and eight-bit bitsandbytes are unpacked here and need no library; the others are
unpacked by theirs.

Shape legend: O outputs, I inputs, W 32-bit words, G groups of inputs that share a scale, E experts.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from fnet_core.models.quantised import Quantisation

FP4 = torch.tensor([sign * size for sign in (1, -1) for size in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)])
"""What the sixteen four-bit floats (E2M1) stand for."""
_UNUSED = ("input_scale", "activation_scale", "input_scale_ub", "output_scale", "k_scale", "v_scale")
"""What scales activations and cached keys and values, which plain weights do not round."""
_MIXTRAL = {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"}
"""What a stored Mixtral calls the projections of an expert."""

Parts = dict[str, Tensor]
"""The tensors of one module, by their name in it."""


def unpacking(found: Quantisation, source: Path) -> Callable[[str, Parts], Parts]:
    """What makes the tensors of one module plain, by the method; ImportError where its library cannot be used."""
    match found.method:
        case "gptq":
            return lambda module, parts: _gptq(parts, found.settings)
        case "awq":
            layout = str(found.settings.get("version") or "gemm").lower()
            return lambda module, parts: _AWQ[layout](parts, found.settings)
        case "MLX":
            return lambda module, parts: _mlx(module, parts, found.settings)
        case "mxfp4":
            return lambda module, parts: _mxfp4(parts)
        case "bitsandbytes":
            return (lambda module, parts: _eight_bits(parts)) if found.in_eight_bits else _four_bits()
        case "compressed-tensors":
            return _compressed(source)
        case "modelopt":
            return lambda module, parts: _modelopt(parts)
        case "hqq":
            return lambda module, parts: _hqq(parts)
        case "quanto":
            shapes = shapes_of(source)
            return lambda module, parts: _quanto(parts, shapes[f"{module}.weight"])
        case _:
            blocks = found.settings.get("weight_block_size") or (128, 128)
            return lambda module, parts: _fp8(parts, blocks)


def unpacked(words_RW: Tensor, bits: int) -> Tensor:
    """The whole numbers of `bits` bits that rows of 32-bit words hold end to end, lowest first, as float32."""
    bytes_RB = words_RW.contiguous().numpy().view(np.uint8)
    bits_RNb = np.unpackbits(bytes_RB, axis=-1, bitorder="little").reshape(len(bytes_RB), -1, bits)
    return torch.from_numpy(np.packbits(bits_RNb, axis=-1, bitorder="little")[..., 0]).float()


def _gptq(parts: Parts, settings: Mapping[str, Any]) -> Parts:
    if "qweight" not in parts:
        return parts
    bits = settings["bits"]
    numbers_OI = unpacked(parts.pop("qweight").T, bits)
    outputs, inputs = numbers_OI.shape
    zeros_GO = unpacked(parts.pop("qzeros"), bits)[:, :outputs]
    if settings.get("checkpoint_format", "gptq") == "gptq":
        zeros_GO = zeros_GO + 1  # this layout stores one less
    scales_GO = parts.pop("scales").float()
    each = -(-inputs // len(scales_GO))
    group_I = parts.pop("g_idx", torch.arange(inputs) // each).long()
    return parts | {"weight": (numbers_OI - zeros_GO[group_I].T) * scales_GO[group_I].T}


def _awq_gemm(parts: Parts, settings: Mapping[str, Any]) -> Parts:
    if "qweight" not in parts:
        return parts
    order = torch.tensor([0, 4, 1, 5, 2, 6, 3, 7])
    numbers_IO, zeros_GO = (
        (numbers := unpacked(parts.pop(name), 4)).unflatten(1, (-1, 8))[:, :, order].reshape(numbers.shape)
        for name in ("qweight", "qzeros")
    )
    scales_GO = parts.pop("scales").float()
    each = len(numbers_IO) // len(scales_GO)
    shift_IO, scale_IO = (rows.repeat_interleave(each, dim=0) for rows in (zeros_GO, scales_GO))
    return parts | {"weight": ((numbers_IO - shift_IO) * scale_IO).T}


def _awq_gemv(parts: Parts, settings: Mapping[str, Any]) -> Parts:
    """Outputs by inputs, in their order; scales and zero points padded to whole words."""
    if "qweight" not in parts:
        return parts
    numbers_OI, zeros_OG = unpacked(parts.pop("qweight"), 4), unpacked(parts.pop("qzeros"), 4)
    each = _group(settings, numbers_OI.shape[1])
    groups = numbers_OI.shape[1] // each
    scale_OI, shift_OI = (
        rows[:, :groups].repeat_interleave(each, dim=1) for rows in (parts.pop("scales").float(), zeros_OG)
    )
    return parts | {"weight": (numbers_OI - shift_OI) * scale_OI}


def _awq_gemv_fast(parts: Parts, settings: Mapping[str, Any]) -> Parts:
    """Four outputs in turn along each row, in stretches of 64 inputs; the 32 inputs of half a stretch are shuffled."""
    if "qweight" not in parts:
        return parts
    numbers = unpacked(parts.pop("qweight"), 4)
    outputs, inputs = 4 * len(numbers), numbers.shape[1] // 4
    numbers = numbers.view(outputs // 4, inputs // 64, 4, 64).transpose(1, 2).reshape(outputs, -1, 4, 2, 4)
    numbers_OI = numbers.transpose(3, 4).reshape(outputs, -1, 4, 4, 2).transpose(2, 3).reshape(outputs, inputs)
    each = _group(settings, inputs)
    shift = parts.pop("qzeros" if "qzeros" in parts else "scaled_zeros")  # minus zero point times scale in both
    scale_IO, shift_IO = (
        rows.float()[: inputs // each].repeat_interleave(each, dim=0) for rows in (parts.pop("scales"), shift)
    )
    return parts | {"weight": numbers_OI * scale_IO.T + shift_IO.T}


_AWQ = {"gemm": _awq_gemm, "gemv": _awq_gemv, "gemv_fast": _awq_gemv_fast}


def _group(settings: Mapping[str, Any], inputs: int) -> int:
    """Inputs that share a scale: as the configuration says, or all of them."""
    size = settings.get("group_size") or settings.get("q_group_size") or -1
    return inputs if size == -1 else size


def _mlx(module: str, parts: Parts, settings: Mapping[str, Any]) -> Parts:
    if "scales" not in parts:
        return parts
    if parts["weight"].ndim != 2 and ".switch_mlp." not in module:
        raise ValueError("experts in a layout of MLX's own")
    own = settings.get(module)
    bits = (own if isinstance(own, Mapping) else settings)["bits"]
    scales_OG, biases_OG = parts.pop("scales").float(), parts.pop("biases").float()
    words = parts.pop("weight").view(torch.int32)
    numbers_OGi = unpacked(words.flatten(0, -2), bits).view(*scales_OG.shape, -1)
    return parts | {"weight": (numbers_OGi * scales_OG[..., None] + biases_OG[..., None]).flatten(-2)}


def named(module: str, leaf: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """A module's plain tensor under its usual name; each expert's own where MLX holds all of them in one."""
    head, together, projection = module.rpartition(".switch_mlp.")
    if not together:
        yield ".".join(filter(None, (module, leaf))), tensor
        return
    name = _MIXTRAL[projection] if head.endswith("block_sparse_moe") else projection
    for expert, part in enumerate(tensor):
        yield f"{head}.experts.{expert}.{name}.{leaf}", part


def _fp8(parts: Parts, blocks: tuple[int, int]) -> Parts:
    """A weight times its scale: one for the matrix, one for each output, or one for each block of it."""
    for name in _UNUSED:
        parts.pop(name, None)
    stored = [parts.pop(name) for name in ("weight_scale_inv", "weight_scale") if name in parts]
    if not stored:
        return parts
    weight_OI = parts.pop("weight").float()
    scale = stored[0].float()
    if scale.numel() == len(weight_OI) and (scale.ndim == 1 or scale.shape[1] == 1):
        scale = scale.view(-1, 1)
    elif scale.numel() > 1:
        for axis, size in enumerate(blocks):
            scale = scale.repeat_interleave(size, dim=axis).narrow(axis, 0, weight_OI.shape[axis])
    return parts | {"weight": weight_OI * scale}


def _modelopt(parts: Parts) -> Parts:
    """Four-bit floats (nvfp4) with a scale for sixteen inputs and one for all, or eight-bit ones with a scale."""
    if "weight_scale_2" not in parts:
        return _fp8(parts, (128, 128))
    for name in _UNUSED:
        parts.pop(name, None)
    numbers_OI = FP4[unpacked(parts.pop("weight"), 4).long()]
    scale_OG = parts.pop("weight_scale").float() * parts.pop("weight_scale_2").float()
    return parts | {"weight": (numbers_OI.view(*scale_OG.shape, -1) * scale_OG[..., None]).flatten(1)}


def _hqq(parts: Parts) -> Parts:
    """Whole numbers, stored row by row in as many parts of their bytes, the first rows in the highest bits."""
    if "W_q" not in parts:
        return parts
    stored, scale, zero = parts.pop("W_q"), parts.pop("scale").float(), parts.pop("zero").float()
    shape, bits = parts.pop("shape").tolist(), int(parts.pop("nbits"))
    bias = {name: parts[name] for name in ("bias",) if name in parts}
    numbers = _stacked(stored, bits, list(range(10 if bits == 3 else 8 // bits))[::-1])
    numbers = numbers[: math.prod(shape) // numbers.shape[1]]  # three bits are filled up to tens of rows
    return bias | {"weight": ((numbers - zero) * scale).reshape(shape)}


def _quanto(parts: Parts, shape: torch.Size) -> Parts:
    """Whole numbers or eight-bit floats with a scale for each output, or two- and four-bit ones for each group."""
    for name in _UNUSED:
        parts.pop(name, None)
    if "weight._scale" not in parts:
        return parts
    scale = parts.pop("weight._scale").float()
    if "weight._data" in parts:
        return parts | {"weight": parts.pop("weight._data").float() * scale}
    stored, shift = parts.pop("weight._data._data"), parts.pop("weight._shift")
    each = round(shape.numel() / stored.numel())
    numbers = _stacked(stored, 8 // each, list(range(each)))[: len(scale)]
    plain = numbers * scale - shift if shift.is_floating_point() else (numbers - shift.float()) * scale
    return parts | {"weight": plain.reshape(shape)}


def _stacked(stored: Tensor, bits: int, places: Sequence[int]) -> Tensor:
    """The rows that lie in the bits of stored rows, one place after the other, as float32."""
    return torch.cat([(stored.int() >> (bits * place)) & (2**bits - 1) for place in places]).float()


def shapes_of(source: Path) -> dict[str, torch.Size]:
    """The shape of every weight of the model that a folder's configuration describes, by its name."""
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    return defaultdict(
        torch.Size, {name: tensor.shape for name, tensor in model.named_parameters(remove_duplicate=False)}
    )


def _eight_bits(parts: Parts) -> Parts:
    parts.pop("weight_format", None)
    if "SCB" not in parts:
        return parts
    scale_O = parts.pop("SCB").float() / 127
    return parts | {"weight": parts["weight"].float() * scale_O[:, None]}


def _four_bits() -> Callable[[str, Parts], Parts]:
    from bitsandbytes.functional import QuantState, dequantize_4bit

    def unpack(module: str, parts: Parts) -> Parts:
        about = {name.removeprefix("weight."): parts.pop(name) for name in list(parts) if name.startswith("weight.")}
        if not about:
            return parts
        state = QuantState.from_dict(about, device=torch.device("cpu"))
        state.dtype = torch.float32
        return parts | {"weight": dequantize_4bit(parts["weight"], state)}

    return unpack


def _mxfp4(parts: Parts) -> Parts:
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    for name in [name.removesuffix("_blocks") for name in parts if name.endswith("_blocks")]:
        parts[name] = convert_moe_packed_tensors(parts.pop(f"{name}_blocks"), parts.pop(f"{name}_scales"))
    return parts


def _compressed(source: Path) -> Callable[[str, Parts], Parts]:
    from compressed_tensors.entrypoints.convert.converters.ct_dequantizer import CompressedTensorsDequantizer

    reader = CompressedTensorsDequantizer(source, dtype=torch.float32)

    def unpack(module: str, parts: Parts) -> Parts:
        if not {"weight_scale", "weight_packed"} & parts.keys():
            return parts
        named = {f"{module}.{leaf}": tensor.float() if leaf == "bias" else tensor for leaf, tensor in parts.items()}
        plain = reader.process(named)
        return {
            name[len(module) + 1 :]: tensor for name, tensor in plain.items() if name.endswith((".weight", ".bias"))
        }

    return unpack
