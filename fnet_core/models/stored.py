"""What a model's weights are on disk: their number type and their bytes."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch

from fnet_core.models.folder import text_tensors, weight_files, wrapper_of

_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True)
class StoredWeights:
    """The number type of most of a model's weights, such as "bfloat16", and the bytes of all its weight files."""

    dtype: str
    bytes: int

    @property
    def torch_dtype(self) -> torch.dtype:
        """The number type as torch names it."""
        return getattr(torch, self.dtype)

    @property
    def bytes_each(self) -> int:
        """Bytes of one weight."""
        return self.torch_dtype.itemsize


def stored_weights(folder: Path) -> StoredWeights:
    """How the weights in a folder are stored, from file sizes and headers; `RequestError` if one cannot be read.

    Of a model with a text model inside, the text model's alone.
    Integers and 8-bit floats do not count, being parts of quantised weights; float32 where there is nothing else.
    """
    elements: Counter[str] = Counter()
    for tensor in text_tensors(folder):
        if tensor.dtype in _NAMES:
            elements[_NAMES[tensor.dtype]] += math.prod(tensor.shape)
    dtype = elements.most_common(1)[0][0] if elements else "float32"
    if wrapper_of(folder):
        return StoredWeights(dtype, sum(count * getattr(torch, name).itemsize for name, count in elements.items()))
    return StoredWeights(dtype, sum(path.stat().st_size for path in weight_files(folder)))
