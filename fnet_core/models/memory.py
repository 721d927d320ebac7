"""Does a model fit? Answered from file headers, before a weight is loaded.

The estimate is for one window of `WINDOW` tokens, batch 1, with every site of every layer captured: the most
that FNet keeps at once. Weights that fit nowhere are read from the safetensors file while the model runs, so
offloading to disk needs no further disk space.
"""

import math
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import torch
from transformers import AutoModelForCausalLM, PretrainedConfig

from fnet_core.models.folder import context, mlp_width, read_config, text_tensors

WINDOW = 512
_CGROUP = Path("/sys/fs/cgroup")
_HEADS = ("lm_head.weight", "embed_out.weight")
_LAYER = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True)
class MemoryEstimate:
    """What a model needs and what there is, in bytes, and the answer as a sentence.

    `needed_bytes` is weights and activations; `minimum_bytes` is what stays in memory even if the rest of the
    weights are read from disk; `device_bytes` and `host_bytes` are free now (the same number without a GPU).
    """

    parameters: int
    dtype: str
    weight_bytes: int
    activation_bytes: int
    needed_bytes: int
    minimum_bytes: int
    device: Literal["cpu", "cuda"]
    device_bytes: int
    host_bytes: int
    fits: Literal["device", "offload", "no"]
    sentence: str


def estimate(model: Path | PretrainedConfig, dtype: torch.dtype | None = None) -> MemoryEstimate:
    """Whether the model in a folder, or of a configuration, fits now; `dtype` defaults to what `load` uses.

    `RequestError` if the folder is not a usable model.
    """
    dtype = dtype or default_dtype()
    config = read_config(model) if isinstance(model, Path) else model
    groups = _stored_groups(model, config) if isinstance(model, Path) else _empty_groups(config)
    parameters = sum(groups.values())
    activations = activation_bytes(config, dtype)
    weights = parameters * dtype.itemsize
    minimum = min(weights, 2 * max(groups.values()) * dtype.itemsize) + activations
    device, device_free = _device(), _device_free()
    host_free = available_memory()
    needed = weights + activations
    fits: Literal["device", "offload", "no"]
    if needed <= device_free:
        fits = "device"
    elif minimum <= device_free:
        fits = "offload"
    else:
        fits = "no"
    return MemoryEstimate(
        parameters=parameters,
        dtype=str(dtype).removeprefix("torch."),
        weight_bytes=weights,
        activation_bytes=activations,
        needed_bytes=needed,
        minimum_bytes=minimum,
        device=device,
        device_bytes=device_free,
        host_bytes=host_free,
        fits=fits,
        sentence=_sentence(fits, needed, minimum, device, device_free, host_free),
    )


def default_dtype() -> torch.dtype:
    """bfloat16 on a GPU that has it, else float16 there; float32 on a CPU."""
    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def count_parameters(config: PretrainedConfig) -> int:
    """Parameters of a configuration's causal language model, tied ones once; no weight is made."""
    return sum(_empty_groups(config).values())


def activation_bytes(config: PretrainedConfig, dtype: torch.dtype) -> int:
    """Bytes beside the weights: three copies of the logits, every captured site, one layer's working set."""
    tokens = min(WINDOW, context(config) or WINDOW)
    mlp, width, heads = mlp_width(config), config.hidden_size, getattr(config, "num_attention_heads", 0)
    logits = 3 * tokens * config.vocab_size * 4
    sites = tokens * config.num_hidden_layers * (mlp + 2 * width + heads) * 4
    working = tokens * (3 * mlp + 8 * width + heads * tokens) * dtype.itemsize
    return logits + sites + working


def available_memory() -> int:
    """Bytes of memory that this process can still use, with a container's limit taken into account."""
    free = psutil.virtual_memory().available
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
        reclaimable = re.search(r"^inactive_file (\d+)", (_CGROUP / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):
        return free
    return min(free, limit - used + int(reclaimable[1] if reclaimable else 0))


def gigabytes(count: int) -> str:
    """A number of bytes as people read it, rounded up: "0.54 GB", "28.1 GB"."""
    digits = 2 if count < 1e9 else 1
    return f"{math.ceil(count / 1e9 * 10**digits) / 10**digits:.{digits}f} GB"


def _stored_groups(folder: Path, config: PretrainedConfig) -> dict[str, int]:
    """Parameters per decoder layer, and per tensor outside the layers, from the safetensors headers."""
    tied = getattr(config, "tie_word_embeddings", False)
    headers = text_tensors(folder)
    return _grouped(
        (tensor.name, math.prod(tensor.shape)) for tensor in headers if not (tied and tensor.name in _HEADS)
    )


def _empty_groups(config: PretrainedConfig) -> dict[str, int]:
    with torch.device("meta"):  # accelerate's init_empty_weights reaches into every thread
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    model.tie_weights()
    return _grouped((name, parameter.numel()) for name, parameter in model.named_parameters())


def _grouped(sizes) -> dict[str, int]:
    groups: dict[str, int] = defaultdict(int)
    for name, size in sizes:
        layer = _LAYER.search(name)
        groups[layer[1] if layer else name] += size
    return dict(groups)


def _device() -> Literal["cpu", "cuda"]:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _device_free() -> int:
    """Free bytes over all GPUs, or of memory without one."""
    if not torch.cuda.is_available():
        return available_memory()
    return sum(torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count()))


def _sentence(fits: str, needed: int, minimum: int, device: str, device_free: int, host_free: int) -> str:
    place = "GPU memory" if device == "cuda" else "memory"
    free = gigabytes(device_free)
    if fits == "device":
        return f"It fits: {gigabytes(needed)} of {free} free {place}."
    if fits == "offload":
        rest = "is read from disk"
        if device == "cuda":
            rest = f"goes to main memory ({gigabytes(host_free)} free) and then to disk"
        return f"It needs {gigabytes(needed)} and {free} of {place} are free: the rest {rest}, which is slow."
    return (
        f"It does not fit: even with its weights on disk it needs {gigabytes(minimum)} of {place} and {free} "
        f"are free, so {gigabytes(minimum - device_free)} are missing; free some or choose a smaller model."
    )


def expected_device() -> str:
    """The type of device that a model will most likely be on; only the loaded model tells for sure."""
    return "cuda" if torch.cuda.is_available() else "cpu"
