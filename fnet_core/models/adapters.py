"""LoRA adapters: which folder is one, on which base, and the whole model that the two make.

The adapter is merged once, in float32, and the sum kept in the cache folder in the base's number type, so that all that
follows reads a plain model, the same with and without the peft library.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from fnet_core.errors import RequestError
from fnet_core.inputs import reading

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_SAYS_NOTHING = ("base_model_name_or_path", "revision", "inference_mode", "peft_version", "auto_mapping")


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds an adapter and no model of its own."""
    return (folder / SETTINGS).is_file() and not (folder / "config.json").is_file()


def adapter_and_base(name: str) -> tuple[str, str | None]:
    """The two halves of ADAPTER@BASE; any other name, and None."""
    adapter, sign, base = name.partition("@")
    if sign and base and is_adapter(Path(adapter).expanduser()):
        return adapter, base.strip()
    return name, None


def read_settings(folder: Path) -> dict[str, Any]:
    """An adapter's settings; `RequestError` if it is damaged or no LoRA adapter with safetensors."""
    with reading(folder / SETTINGS):
        content = (folder / SETTINGS).read_bytes()
    try:
        settings = json.loads(content.decode("utf-8"))
        kind = settings["peft_type"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RequestError(f"{folder / SETTINGS} does not say what it is; copy it again.") from error
    if kind != "LORA":
        raise RequestError(
            f"{folder} is an adapter of type {kind}, and FNet merges LoRA; merge it with peft and save it."
        )
    if settings.get("megatron_config"):
        raise RequestError(
            f"{folder} is an adapter for Megatron, whose own code would be run; merge it there and save the model."
        )
    if not (folder / WEIGHTS).is_file():
        raise RequestError(f"{folder} has no {WEIGHTS}; save the adapter again as safetensors.")
    return settings


def deciding(settings: dict[str, Any]) -> dict[str, Any]:
    """What of an adapter's settings decides the numbers."""
    return {key: value for key, value in settings.items() if key not in _SAYS_NOTHING}


def merge(base: Path, adapter: Path, folder: Path) -> None:
    """Save the sum of base and adapter, with the adapter's tokenizer where it has one, into an existing folder.

    `RequestError` if peft is missing, memory is short, or the adapter does not belong to the base.
    """
    from fnet_core.models.folder import read_config
    from fnet_core.models.memory import available_memory, count_parameters, gigabytes
    from fnet_core.models.older import add_older
    from fnet_core.models.saving import CODE, check_finite, code, needs_code
    from fnet_core.models.stored import stored_weights
    from fnet_core.models.tokenizer_files import tokenizer_files
    from fnet_core.models.weights import with_weights

    try:
        from peft import PeftModel, get_peft_model_state_dict
    except ImportError as error:
        raise RequestError(f"{adapter} is a LoRA adapter; install peft (pip install peft) to merge it.") from error
    import torch
    from safetensors import SafetensorError, safe_open

    config = read_config(base)
    needed, free = 2 * 4 * count_parameters(config), available_memory()
    if needed > free:
        raise RequestError(f"Merging {adapter} needs {gigabytes(needed)} of memory and {gigabytes(free)} are free.")
    whole, _ = with_weights(config, base, str(base), dtype=torch.float32)
    tied = whole.get_input_embeddings().weight is whole.get_output_embeddings().weight
    try:
        adapted = PeftModel.from_pretrained(whole, str(adapter))
        with safe_open(adapter / WEIGHTS, framework="pt") as file:
            different = set(file.keys()) ^ set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
        # peft may save the embedding under a changed one with it, and reads it back from there
        different = {name for name in different if not name.endswith(".base_layer.weight")}
    except SafetensorError as error:
        raise RequestError(f"{adapter / WEIGHTS} is cut short; copy it again.") from error
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # peft raises anything over settings that it was not written for
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"{adapter} does not belong to {base} ({reason}); name its base with --base.") from error
    if different:
        raise RequestError(
            f"{adapter} and {base} do not agree on {len(different)} tensors ({min(different)}, ...); name the base "
            "that the adapter was trained on with --base."
        )
    embeddings = (adapted.get_input_embeddings(), adapted.get_output_embeddings())
    if tied and any(hasattr(module, "lora_A") for module in embeddings):
        raise RequestError(
            f"{adapter} changes the input or the output embedding, and {base} has one matrix for both, so that a sum "
            "would change both; train an adapter on other modules, or untie the base first."
        )
    try:
        merged = adapted.merge_and_unload(safe_merge=True)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # numbers that are none, and whatever else an adapter's settings lead to
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"{adapter} cannot be put onto {base} ({reason}); copy the adapter again.") from error
    merged = merged.to(stored_weights(base).torch_dtype)
    check_finite(merged)
    merged.save_pretrained(folder)
    for path in tokenizer_files(adapter if (adapter / "tokenizer.json").is_file() else base):
        shutil.copyfile(path, folder / path.name)
    add_older(folder)
    if needs_code(merged):
        (folder / CODE).write_text(code(), "utf-8")
