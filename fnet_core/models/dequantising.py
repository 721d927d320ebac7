"""Quantised weights as plain float32 numbers, tensor by tensor, into a folder that loads like any other.

Float32 because a dequantised weight is a product of two numbers, which fewer bits would round again.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fnet_core.errors import RequestError
from fnet_core.models.folder import quantisation_of, weight_files, wrapper_of
from fnet_core.models.quantised import plain_config
from fnet_core.models.tokenizer_files import tokenizer_files
from fnet_core.models.unpacking import Parts, named, unpacking
from fnet_core.models.wrappers import text_tensor
from fnet_core.progress import Report, silent
from fnet_core.storage.artifacts import disk_errors

SHARD_BYTES = 2 << 30
"""A new file is begun once one holds as much."""


def dequantise(source: Path, folder: Path, report: Report = silent) -> None:
    """Fill an existing folder with the model of a quantised one, in float32, and its tokenizer.

    `RequestError` where a tensor cannot be read or belongs to no known layout.
    """
    config = json.loads((source / "config.json").read_text("utf-8"))
    found = quantisation_of(source)
    assert found is not None
    try:
        unpack = unpacking(found, source)
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
                yield from ((name, part.float().contiguous()) for name, part in named(module, leaf, tensor))


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
