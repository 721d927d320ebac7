"""Weights that a folder holds in a few bits each: by which method, and whether FNet can read them here.

They are turned into plain float32 once and kept in the cache folder (see `dequantising`), so that all that
follows reads, cuts and saves an ordinary model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from fnet_core.errors import RequestError

KEYS = ("quantization_config", "quantization")
"""Where a config.json says how its weights are quantised; the second is MLX's."""

READABLE = (
    *("bitsandbytes", "gptq", "awq", "fp8", "fbgemm_fp8", "mxfp4", "compressed-tensors", "modelopt", "hqq", "quanto"),
    "MLX",
)
"""The methods that can be read, by the names that configurations give them."""

_PACKAGES = {"bitsandbytes": "bitsandbytes", "compressed-tensors": "compressed_tensors"}
"""The module that reads a method's weights, where FNet does not itself; pip calls it as the method."""
_BITS = {"gptq": (2, 3, 4, 8), "awq": (4,), "MLX": (2, 3, 4, 5, 6, 8)}
_LAYOUTS = {
    "gptq": ("checkpoint_format", ("gptq", "gptq_v2"), "gptq"),
    "awq": ("version", ("gemm", "gemv", "gemv_fast"), "gemm"),
    "modelopt": ("quant_algo", ("fp8", "nvfp4"), "nvfp4"),
    "MLX": ("mode", ("affine",), "affine"),
}
"""The setting that names a layout, the layouts that are read, and which one is meant where it is absent."""
_ROUNDED_INPUTS = ("fp8", "fbgemm_fp8", "modelopt")
"""Methods whose own kernels round the inputs of each projection too."""


@dataclass(frozen=True)
class Quantisation:
    """How a model's weights are quantised: the method, and what the configuration says of it."""

    method: str
    settings: Mapping[str, Any]

    @property
    def in_eight_bits(self) -> bool:
        """Whether bitsandbytes stored the weights as eight-bit integers, which need no library."""
        return self.method == "bitsandbytes" and bool(self.settings.get("load_in_8bit"))

    @property
    def rounds_inputs(self) -> bool:
        """Whether the method's own kernels round activations as well, which plain weights do not."""
        groups = (self.settings.get("config_groups") or {}).values()
        activations = any(group.get("input_activations") for group in groups if isinstance(group, Mapping))
        return self.method in _ROUNDED_INPUTS or self.in_eight_bits or activations


def quantisation(config: Mapping[str, Any]) -> Quantisation | None:
    """How the model of a parsed config.json, or the text model inside it, is quantised; None if it is not."""
    inner = config.get("text_config")
    for place in (config, inner if isinstance(inner, Mapping) else {}):
        for key in KEYS:
            if settings := place.get(key):
                settings = settings if isinstance(settings, Mapping) else {}
                named = settings.get("quant_method")
                bare = "MLX" if {"bits", "group_size"} <= settings.keys() else "an unnamed method"
                return Quantisation(str(named or bare), settings)
    return None


BESIDE = {
    "hf_quant_config.json": lambda said: {"quant_method": "modelopt", **said.get("quantization", {})},
    "quanto_qmap.json": lambda said: {"quant_method": "quanto"},
}
"""Files beside a config.json in which a method says what it did, and what a config.json would say of it."""


def check_readable(config: Mapping[str, Any], name: str) -> None:
    """`RequestError` unless the model is plain, or quantised in a way that can be read with what is installed."""
    found = quantisation(config)
    if found is None:
        return
    method, settings = found.method, found.settings
    otherwise = "choose the unquantised model or a .gguf file"
    if method not in READABLE:
        raise RequestError(
            f"{name} holds weights quantised by {method}, and FNet reads {', '.join(READABLE[:-1])} and "
            f"{READABLE[-1]}; {otherwise}."
        )
    package = _PACKAGES.get(method)
    if package and not found.in_eight_bits and find_spec(package) is None:
        raise RequestError(
            f"{name} holds weights quantised by {method}; install {method} (pip install {method}) to read them, or "
            f"{otherwise}."
        )
    field, known, usual = _LAYOUTS.get(method, ("", (), ""))
    layout = str(settings.get(field) or usual).lower()
    if field and layout not in known:
        raise RequestError(
            f"{name} holds weights quantised by {method} in the layout {layout}, and FNet reads {' or '.join(known)}; "
            f"{otherwise}."
        )
    bits = settings.get("bits")
    if method in _BITS and bits not in _BITS[method]:
        listed = ", ".join(map(str, _BITS[method]))
        raise RequestError(
            f"{name} holds weights quantised by {method} to {bits} bits, and FNet reads {listed}; {otherwise}."
        )


def plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A parsed config.json without what it says of quantisation, its number type float32."""
    left_out = (*KEYS, "torch_dtype", "dtype")
    plain = {key: value for key, value in config.items() if key not in left_out} | {"dtype": "float32"}
    if isinstance(inner := plain.get("text_config"), Mapping):
        plain["text_config"] = {key: value for key, value in inner.items() if key not in left_out}
    return plain
