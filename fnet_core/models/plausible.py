"""Whether a folder's configuration and weights can be true, as far as that shows."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.activations import ACT2FN

from fnet_core.errors import Cancelled, RequestError
from fnet_core.storage.remembering import recalled, remember

_COUNTS = (
    "num_hidden_layers",
    "hidden_size",
    "vocab_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
)
_ACTIVATIONS = ("hidden_act", "hidden_activation", "activation_function")
_BUFFERS = (".inv_freq", ".masked_bias", ".attn.bias", ".attention.bias")
"""Tables that libraries used to store with the weights, and that no model reads."""


def check_dtype(written: Mapping[str, Any], name: str) -> None:
    """RequestError for a number type in a parsed config.json that is none."""
    for field in ("dtype", "torch_dtype"):
        value = written.get(field)
        known = isinstance(value, str) and isinstance(getattr(torch, value.removeprefix("torch."), None), torch.dtype)
        if value not in (None, "auto") and not known:
            raise _refused(name, f"{field} = {value!r}, which is no number type")


def check_not_nan(written: Any, name: str, field: str = "") -> None:
    """RequestError for a NaN anywhere in a parsed config.json, which would make every number of the model one."""
    parts = enumerate(written) if isinstance(written, list) else written.items() if isinstance(written, dict) else ()
    for key, value in parts:
        inside = f"{field}.{key}" if field else str(key)
        if isinstance(value, float) and math.isnan(value):
            raise _refused(name, f"{inside} = NaN, which is no number")
        check_not_nan(value, name, inside)


def check_counts(said: Callable[[str, None], Any], name: str) -> None:
    """RequestError unless the sizes of the model `name` are whole numbers above 0 and its activation is known.

    `said` gives what the configuration says of a field, or else its second argument.
    """
    for field in _COUNTS:
        value = said(field, None)
        if value is not None and not isinstance(value, list | tuple) and (type(value) is not int or value < 1):
            raise _refused(name, f"{field} = {value!r}, which must be a whole number above 0")
    for field in _ACTIVATIONS:
        value = said(field, None)
        if isinstance(value, str) and value not in ACT2FN:
            raise _refused(name, f"{field} = {value!r}, which no library knows")


def forget_kernels(config: PretrainedConfig) -> None:
    """Take out by which code a configuration asks to be run, which would decide what is fetched and run here."""
    for part in (config, config.get_text_config()):
        part._attn_implementation_internal = None
        part._experts_implementation_internal = None


@contextmanager
def built_from(name: str) -> Iterator[None]:
    """Turn whatever the library raises over a configuration into a `RequestError`; short memory is passed on."""
    try:
        yield
    except (RequestError, Cancelled, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # models raise anything over a configuration that they were not written for
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise RequestError(f"{name} cannot be built from its config.json ({reason}); copy the folder again.") from error


def check_all_used(unused: Collection[str], name: str) -> None:
    """RequestError when the model `name` holds weights that its configuration has no place for."""
    if left := sorted(tensor for tensor in unused if not tensor.endswith(_BUFFERS)):
        raise RequestError(
            f"{name} holds {len(left)} tensors that its config.json has no place for ({left[0]}, ...), so that a part "
            "of it would be left out; copy its config.json again, or save the model again with save_pretrained."
        )


def check_numbers(model: PreTrainedModel, name: str, digest: str) -> None:
    """RequestError when a weight is no finite number; asked once for each model, and remembered in the cache folder.

    Weights that stay on disk are not looked at.
    """
    if recalled(f"finite-{digest}") == {}:
        return
    whole = True
    for tensor, parameter in model.named_parameters():
        if parameter.is_meta:
            whole = False
        elif not torch.isfinite(parameter.detach()).all():
            raise RequestError(
                f"{name} holds weights that are not all finite numbers ({tensor}, ...); copy or download it again."
            )
    if whole:
        remember(f"finite-{digest}", {})


def _refused(name: str, what: Any) -> RequestError:
    return RequestError(f"The config.json of {name} is not valid ({what}); copy it again.")
