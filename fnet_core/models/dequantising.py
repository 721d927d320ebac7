"""Quantised weights as plain float32 numbers, tensor by tensor, into a folder that loads like any other.

Float32 because a dequantised weight is a product of two numbers, which fewer bits would round again. The layouts of
GPTQ, AWQ, MLX, fp8 and eight-bit bitsandbytes are unpacked here and need no library; the others are unpacked by theirs.

Shape legend: O outputs, I inputs, W 32-bit words, G groups of inputs that share a scale.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fnet_core.errors import RequestError
from fnet_core.models.folder import weight_files, wrapper_of
from fnet_core.models.quantised import Quantisation, plain_config, quantisation
from fnet_core.models.tokenizer_files import tokenizer_files
from fnet_core.models.wrappers import text_tensor
from fnet_core.progress import Report, silent
from fnet_core.storage.artifacts import disk_errors

SHARD_BYTES = 2 << 30
"""A new file is begun once one holds as much."""

Parts = dict[str, Tensor]
"""The tensors of one module, by their name in it."""


def dequantise(source: Path, folder: Path, report: Report = silent) -> None:
    """Fill an existing folder with the model of a quantised one, in float32, and its tokenizer.

    `RequestError` where a tensor cannot be read or belongs to no known layout.
    """
    config = json.loads((source / "config.json").read_text("utf-8"))
    found = quantisation(config)
    assert found is not None
    try:
        unpack = _unpacking(found, source)
    except (ImportError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise RequestError(
            f"{source} holds weights quantised by {found.method}, which the library here does not read ({reason}); "
            f"install a newer one (pip install -U {found.method}), or choose the unquantised model or a .gguf file."
        ) from error
    with disk_errors(folder):
        _save(_plain_tensors(source, unpack, found.method, report), folder)
        (folder / "config.json").write_text(json.dumps(plain_config(config), indent=2), "utf-8")
        for path in (*tokenizer_files(source), source / "generation_config.json"):
            if path.is_file():
                shutil.copyfile(path, folder / path.name)


def _plain_tensors(
    source: Path, unpack: Callable[[str, Parts], Parts], method: str, report: Report
) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the model under its usual name, in float32, read module by module from all files at once."""
    inside = wrapper_of(source) is not None
    with ExitStack() as stack:
        modules: dict[str, dict[str, Any]] = {}
        try:
            for path in weight_files(source):
                file = stack.enter_context(safe_open(path, framework="pt"))
                for name in file.keys():  # noqa: SIM118 (not a dict: it has no __iter__)
                    if not inside or text_tensor(name):
                        module = _module(name)
                        modules.setdefault(module, {})[name[len(module) :].lstrip(".")] = (file, name)
        except SafetensorError as error:
            raise RequestError(f"{source} holds a file that is cut short; copy or download it again.") from error
        for done, (module, places) in enumerate(modules.items()):
            report("dequantising", done / len(modules))
            parts = {leaf: file.get_tensor(name) for leaf, (file, name) in places.items()}
            try:
                plain = unpack(module, parts)
            except (KeyError, ValueError, RuntimeError, IndexError, AssertionError) as error:
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
                raise RequestError(
                    f"{module} in {source} cannot be unpacked as {method} ({reason}); choose the unquantised model or "
                    "a .gguf file."
                ) from error
            for leaf, tensor in plain.items():
                if not tensor.is_floating_point() or tensor.dtype.itemsize == 1:
                    raise RequestError(
                        f"{module}.{leaf} in {source} is in no layout of {method} that FNet knows; choose the "
                        "unquantised model or a .gguf file."
                    )
                yield ".".join(filter(None, (module, leaf))), tensor.float().contiguous()


def _module(name: str) -> str:
    """The module of a stored tensor; bitsandbytes names its parts below `weight`."""
    head, inner, _ = name.partition(".weight.")
    return head if inner else name.rpartition(".")[0]


def _save(tensors: Iterator[tuple[str, Tensor]], folder: Path) -> None:
    """Write tensors to files of about `SHARD_BYTES`, with an index where there are several."""
    files: list[list[str]] = []
    held: Parts = {}

    def write() -> None:
        files.append(list(held))
        save_file(held, folder / f"part-{len(files)}", metadata={"format": "pt"})
        held.clear()

    for name, tensor in tensors:
        if held and sum(each.nbytes for each in held.values()) + tensor.nbytes > SHARD_BYTES:
            write()
        held[name] = tensor
    write()
    if len(files) == 1:
        (folder / "part-1").rename(folder / "model.safetensors")
        return
    where: dict[str, str] = {}
    for number, names in enumerate(files, start=1):
        file = f"model-{number:05}-of-{len(files):05}.safetensors"
        (folder / f"part-{number}").rename(folder / file)
        where |= dict.fromkeys(names, file)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": where}, indent=1), "utf-8"
    )


def _unpacking(found: Quantisation, source: Path) -> Callable[[str, Parts], Parts]:
    """What makes the tensors of one module plain, by the method."""
    match found.method:
        case "gptq":
            return lambda module, parts: _gptq(parts, found.settings)
        case "awq":
            return lambda module, parts: _awq(parts)
        case "MLX":
            return lambda module, parts: _mlx(module, parts, found.settings)
        case "mxfp4":
            return lambda module, parts: _mxfp4(parts)
        case "bitsandbytes":
            return (lambda module, parts: _eight_bits(parts)) if found.in_eight_bits else _four_bits()
        case "compressed-tensors":
            return _compressed(source)
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


def _awq(parts: Parts) -> Parts:
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


def _mlx(module: str, parts: Parts, settings: Mapping[str, Any]) -> Parts:
    if "scales" not in parts:
        return parts
    if parts["weight"].ndim != 2:
        raise ValueError("experts in a layout of MLX's own")
    own = settings.get(module)
    bits = (own if isinstance(own, Mapping) else settings)["bits"]
    scales_OG, biases_OG = parts.pop("scales").float(), parts.pop("biases").float()
    numbers_OI = unpacked(parts.pop("weight").view(torch.int32), bits)
    numbers_OGi = numbers_OI.view(*scales_OG.shape, -1)
    return parts | {"weight": (numbers_OGi * scales_OG[..., None] + biases_OG[..., None]).flatten(1)}


def _fp8(parts: Parts, blocks: tuple[int, int]) -> Parts:
    """A weight times its scale: one for the matrix, one for each output, or one for each block of it."""
    for name in ("input_scale", "activation_scale", "input_scale_ub"):
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
