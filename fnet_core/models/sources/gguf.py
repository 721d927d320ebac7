"""GGUF file -> folder with safetensors, in a child process because reading a GGUF cannot be interrupted.

The weights are stored as float32. The de-quantised values are products in float32, and rounding them to
float16 moved SmolLM2-135M's logits by up to 0.035 (bfloat16: 0.17; Gemma 3 270M: 0.019 and 0.29). Float32
also loads ten times faster on a CPU (0.07 s against 0.8 s), because the file is memory-mapped as it is. The
price is disk: 0.54 GB instead of 0.27 GB for SmolLM2-135M.
"""

import re
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
from gguf import MODEL_ARCH_NAMES
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.integrations.gguf import GGUF_CONFIG_ARCHS
from transformers.modeling_gguf_pytorch_utils import (
    GGUF_SUPPORTED_ARCHITECTURES,
    TENSOR_PROCESSORS,
    TensorProcessor,
    get_gguf_hf_weights_map,
)

from fnet_core.errors import RequestError
from fnet_core.models.folder import check_config
from fnet_core.models.memory import available_memory, count_parameters, gigabytes
from fnet_core.models.older import add_older
from fnet_core.models.sources.child import run_module
from fnet_core.models.sources.gguf_file import check_magic, incomplete
from fnet_core.models.sources.gguf_metadata import Metadata, read_metadata, settled, unread_tensors
from fnet_core.models.sources.gguf_parts import gguf_parts, join_parts
from fnet_core.progress import Report
from fnet_core.storage.artifacts import disk_errors

_REFUSED, _UNREADABLE, _KILLED = 2, 3, -9
_STAGE = "fnet stage: "
_JOINING = "joining the parts"
_READING, _CONVERTING, _SAVING = "reading the GGUF file", "converting", "saving"
_OTHER_NAMES = ("qwen2moe", "qwen3moe", "gpt-oss", "minimax-m2")
"""Architectures that transformers reads and lists under a name of its own."""
_BAR = re.compile(r"\|\s*(\d+)/(\d+) \[")


def convert_gguf(source: Path, folder: Path, report: Report) -> None:
    """Fill an existing folder with the model and the tokenizer of a GGUF file, ready for `from_pretrained`.

    Takes half a minute for a starter. What `report` raises kills the conversion. `RequestError` when the file
    is not a complete GGUF file of a supported architecture, or memory or disk do not suffice.
    """
    check_magic(source)
    finished = run_module("fnet_core.models.sources.gguf", [source, folder], lambda output: report(*_progress(output)))
    if finished.status == _REFUSED:
        raise RequestError(finished.output.splitlines()[-1])
    if finished.status == _UNREADABLE:
        raise RequestError(incomplete(source)) from RuntimeError(finished.output[-2000:])
    if finished.status == _KILLED:
        raise RequestError(f"Converting {source.name} ran out of memory; free some or choose a smaller file.")
    if finished.status != 0:
        raise RuntimeError(f"Converting {source.name} failed:\n{finished.output[-2000:]}")


def _progress(output: str) -> tuple[str, float]:
    """The stage and the fraction of it that the child's output tells."""
    stage, _, after = output.rpartition(_STAGE)[2].partition("\n")
    bars = _BAR.findall(after) if stage == _CONVERTING else []
    return stage or _READING, int(bars[-1][0]) / max(int(bars[-1][1]), 1) if bars else 0.0


def _tell(stage: str) -> None:
    print(f"{_STAGE}{stage}", flush=True)


def _read(source: Path, name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model in float32 and its tokenizer; `RequestError`, which calls the file `name`, if that cannot be.

    `dequantize=True` also takes off the mark that would make `save_pretrained` refuse.
    """
    _tell(_READING)
    metadata = read_metadata(source, name)
    _check_architecture(metadata)
    stated = AutoConfig.from_pretrained(source.parent, gguf_file=source.name)
    check_config(stated.to_dict(), name)
    config = settled(stated, metadata)
    needed, free = 2 * 4 * count_parameters(config), available_memory()
    if needed > free:
        raise RequestError(
            f"Converting {name} needs {gigabytes(needed)} of memory and {gigabytes(free)} are free; "
            f"free {gigabytes(needed - free)} or choose a smaller file."
        )
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    _tell(_CONVERTING)
    made: Any = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
        output_loading_info=True,
        **({} if config is stated else {"config": config}),
    )
    model, info = made  # the annotation leaves out the second value
    if info["missing_keys"]:
        raise RequestError(incomplete(Path(name)))
    if metadata.architecture not in GGUF_CONFIG_ARCHS:
        processor = TENSOR_PROCESSORS.get(metadata.architecture, TensorProcessor)(config=config.to_dict())
        known = get_gguf_hf_weights_map(model, processor)
        if unread := unread_tensors(
            metadata, lambda tensor: not {tensor, tensor.removesuffix(".weight")}.isdisjoint({*known, "output.weight"})
        ):
            raise metadata.refuse(f"{len(unread)} tensors ({unread[0]}, ...) that belong to no part of the model")
    return model, tokenizer


def _check_architecture(metadata: Metadata) -> None:
    """`RequestError` for a mixture of experts or an architecture that is known and cannot be read."""
    experts = metadata.keys.get("expert_count", 0)
    readable = metadata.architecture in {*GGUF_SUPPORTED_ARCHITECTURES, *GGUF_CONFIG_ARCHS, *_OTHER_NAMES}
    if experts and (not readable or metadata.architecture in ("llama", "mistral")):
        raise metadata.refuse(f"{metadata.architecture}.expert_count = {experts}, a mixture of experts")
    if not readable and metadata.architecture in MODEL_ARCH_NAMES.values():
        raise metadata.refuse(f"general.architecture = {metadata.architecture}")


def main(arguments: list[str]) -> int:
    """Convert SRC into the folder DST; exit status 2: refused, the reason is the last line; 3: unreadable.

    Whatever the readers raise means unreadable, because a damaged file can break them anywhere; the traceback
    is printed.
    """
    source, folder = map(Path, arguments)
    joined = folder / "joined.gguf"
    try:
        parts = gguf_parts(source)
        if len(parts) > 1:
            _tell(_JOINING)
            with disk_errors(folder):
                join_parts(parts, joined)
        model, tokenizer = _read(joined if len(parts) > 1 else source, source.name)
    except RequestError as error:
        print(error)
        return _REFUSED
    except Exception:
        traceback.print_exc()
        return _UNREADABLE
    finally:
        joined.unlink(missing_ok=True)
    _tell(_SAVING)
    try:
        with disk_errors(folder):
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            add_older(folder)
    except RequestError as error:
        print(error)
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
