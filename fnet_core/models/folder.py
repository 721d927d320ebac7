"""What a model folder on disk holds, judged without loading a weight."""

import json
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import metadata_load
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, PretrainedConfig
from yaml import YAMLError

from fnet_core.errors import RequestError
from fnet_core.inputs import reading
from fnet_core.models.adapters import adapter_and_base, is_adapter
from fnet_core.models.families import FAMILIES, not_supported
from fnet_core.models.family import Family
from fnet_core.models.licences import Licence
from fnet_core.models.made import CARD
from fnet_core.models.older import TOKENIZER, tokenizer_digest, without_older
from fnet_core.models.plausible import check_counts, check_dtype, check_not_nan, forget_kernels
from fnet_core.models.quantised import BESIDE, KEYS, Quantisation, check_readable, quantisation
from fnet_core.models.structure import check_known, family_of
from fnet_core.models.tokenizer_files import tokenizer_files
from fnet_core.models.tokenizers import differs_from_its_file
from fnet_core.models.wrappers import WRAPPERS, text_config, text_tensor, text_type
from fnet_core.progress import Report, silent
from fnet_core.storage.artifacts import cached_file_digest, digest, disk_errors, file_digest
from fnet_core.storage.sealed import sealed, unsealed

PICKLES = (".bin", ".pt", ".pth", ".ckpt")
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_READ = (".json", ".safetensors", ".model", ".txt")
"""Endings of the files that are read of a folder."""
_AS_ITS_FILE = {"tokenizer": "as its file"}
_LARGEST_SIZE = 1 << 20
"""No projection has more inputs or outputs."""


@dataclass(frozen=True)
class TensorHeader:
    """A stored tensor's name, shape and element type (the safetensors name, such as F32)."""

    name: str
    shape: tuple[int, ...]
    dtype: str


def check_config(config: Any, name: str) -> str:
    """The `model_type` of a parsed config.json; `RequestError` if unsupported."""
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise RequestError(f"The config.json of {name} names no model_type; choose a causal language model.")
    if (model_type := text_type(config)) not in FAMILIES:
        _check_structure(config, model_type, name)
    if named := config.get("transformers_weights"):
        raise RequestError(
            f"The config.json of {name} names a weights file of its own ({named}); rename it to {SINGLE} and take "
            "'transformers_weights' out."
        )
    return config["model_type"]


def _check_structure(config: dict[str, Any], model_type: str, name: str) -> None:
    """RequestError unless an architecture that is not in the table can be read by its structure."""
    check_known(model_type)
    if model_type != config["model_type"]:
        raise not_supported(model_type)
    try:
        built = AutoConfig.for_model(**config)
    except (ValueError, TypeError, KeyError, StrictDataclassError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"The config.json of {name} is not valid ({reason}); copy it again.") from error
    family_of(built)


def check_folder(folder: Path) -> None:
    """`RequestError` unless the folder holds a supported configuration and all the weights it needs."""
    check_config(_read_json(folder / "config.json", folder), str(folder))
    if lost := [path for path in folder.iterdir() if path.suffix in _READ and path.is_symlink() and not _leads(path)]:
        raise RequestError(f"{min(lost)} is a link that leads to no file; copy the folder again, links followed.")
    tensor_headers(folder)


def _leads(link: Path) -> bool:
    try:
        return link.exists()
    except (OSError, RuntimeError):
        return False


def read_config(folder: Path, name: str | None = None) -> PretrainedConfig:
    """The configuration of the model `name` (default: the folder), or of the text model inside it.

    `RequestError` if it cannot be used.
    """
    name = name or str(folder)
    written = _read_json(folder / "config.json", folder)
    check_config(written, name)
    check_dtype(written, name)
    check_not_nan(written, name)
    try:
        config = text_config(AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False))
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, StrictDataclassError) as error:
        check_counts(written.get, name)
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"The config.json of {name} is not valid ({reason}); copy it again.") from error
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # what is read is the plain model that the folder is turned into
    check_counts(partial(getattr, config), name)
    for part in (config, config.get_text_config()):
        if (getattr(part, "pad_token_id", None) or 0) >= part.vocab_size:
            part.pad_token_id = None  # no text is padded, and the library would not build the embedding
    forget_kernels(config)
    family_of(config)
    return config


def wrapper_of(folder: Path) -> str | None:
    """The type of the model in a folder that has a text model inside, which alone is read; None for any other."""
    named = _read_json(folder / "config.json", folder).get("model_type")
    return named if named in WRAPPERS else None


def quantisation_of(folder: Path) -> Quantisation | None:
    """How the weights in a folder are quantised; None for plain ones."""
    return quantisation(_said_config(folder))


def _said_config(folder: Path) -> dict[str, Any]:
    """A folder's config.json, with what a file beside it says of quantisation where it says nothing itself."""
    config = _read_json(folder / "config.json", folder)
    if isinstance(config, dict) and quantisation(config) is None:
        for name, settings in BESIDE.items():
            if (folder / name).is_file() and isinstance(said := _read_json(folder / name, folder), dict):
                return config | {KEYS[0]: settings(said)}
    return config


def check_quantised(folder: Path, name: str) -> None:
    """`RequestError`, calling the model `name`, for quantised weights that cannot be read with what is installed."""
    check_readable(_said_config(folder), name)


def quantisation_note(folder: Path) -> str:
    """That quantised weights are used as plain ones, as a sentence; empty for plain ones."""
    if (found := quantisation_of(folder)) is None:
        return ""
    note = f"Its weights are quantised by {found.method}; they are turned into float32 once and kept so on disk"
    rest = ", and the rounding of activations that its own kernels do is left out" if found.rounds_inputs else ""
    return f"{note}{rest}."


def wrapper_note(folder: Path) -> str:
    """That only the text model inside is read and saved, as a sentence; empty for any other model."""
    named = wrapper_of(folder)
    return f"Of this {named} model the text model is read, and what is saved of it is that text model." if named else ""


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that make up the model, sorted; `RequestError` if one is missing.

    A single file comes before an index beside it, as in the library that loads them.
    """
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if (folder / INDEX).is_file():
        index = _read_json(folder / INDEX, folder)
        try:
            names = sorted(set(index["weight_map"].values()))
        except (KeyError, TypeError, AttributeError) as error:
            raise RequestError(f"{folder / INDEX} has no weight_map; copy it again.") from error
        if missing := [name for name in names if not (folder / name).is_file()]:
            raise RequestError(
                f"{folder} lacks {len(missing)} of the {len(names)} files that its index names "
                f"({missing[0]}, ...); copy or download them again."
            )
        return [folder / name for name in names]
    raise RequestError(_no_weights(folder))


def tensor_headers(folder: Path) -> list[TensorHeader]:
    """Every tensor of the model, from the files' headers; `RequestError` if a file is damaged."""
    found = []
    for path in weight_files(folder):
        try:
            with reading(path), disk_errors(folder), safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 (not a dict: it has no __iter__)
                    tensor = file.get_slice(name)
                    found.append(TensorHeader(name, tuple(tensor.get_shape()), tensor.get_dtype()))
        except SafetensorError as error:
            raise RequestError(f"{path} is cut short or not a safetensors file; copy or download it again.") from error
    return found


def text_tensors(folder: Path) -> list[TensorHeader]:
    """The tensors of the language model, under the names of its own class; all of them but in a wrapper."""
    headers = tensor_headers(folder)
    if wrapper_of(folder) is None:
        return headers
    return [replace(tensor, name=name) for tensor in headers if (name := text_tensor(tensor.name))]


def read_card(folder: Path) -> dict[str, Any]:
    """FNet's note in a folder that it made, else an empty dict; `RequestError` if the note was damaged or changed."""
    note = _read_json(folder / CARD, folder) if (folder / CARD).is_file() else {}
    if not isinstance(note, dict):
        raise RequestError(f"{folder / CARD} is no note of FNet; remove it.")
    return unsealed(note, str(folder / CARD))


def read_licence(folder: Path) -> Licence:
    """The licence in FNet's note or the model card (README.md); its name is None if none is legible."""
    note = read_card(folder)
    if "licence" in note:
        return Licence(_legible(note["licence"]), _legible(note.get("licence_url")))
    try:
        facts = metadata_load(folder / "README.md") if (folder / "README.md").is_file() else None
    except (ValueError, YAMLError):
        facts = None
    facts = facts if isinstance(facts, dict) else {}
    name = _legible(facts.get("license_name")) or _legible(facts.get("license"))
    return Licence(name, _legible(facts.get("license_link")))


def _legible(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def write_card(folder: Path, facts: dict[str, Any]) -> None:
    """Leave FNet's note in a folder it made: the facts, the model's digest and the versions that wrote it."""
    versions = {package: version(package) for package in ("transformers", "gguf", "torch")}
    card = facts | {"model_digest": _model_digest(folder, file_digest), "written_with": versions}
    (folder / CARD).write_text(json.dumps(sealed(card), indent=2), encoding="utf-8")


def model_digest(folder: Path, report: Report = silent) -> str:
    """What tells one model from another: SHA-256 over the configuration, the weights and the tokenizer.

    The folder's place and the library version that saved it do not matter. Files are read once and remembered
    until they change. `RequestError` if the folder is not a usable model.
    """
    return _model_digest(folder, partial(cached_file_digest, report=report))


def fits_card(folder: Path, report: Report = silent, file_digest: Callable[[Path], str] | None = None) -> bool:
    """Whether a folder holds what FNet's note in it says: the same configuration, weights and tokenizer.

    Files are read once and remembered until they change, unless another `file_digest` is given.
    """
    try:
        decides = _deciding(folder, file_digest or partial(cached_file_digest, report=report))
        return read_card(folder).get("model_digest") in (digest(decides), digest(decides | _AS_ITS_FILE))
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        return False


def mlp_width(config: PretrainedConfig) -> int:
    """MLP neurons per layer, which each architecture's configuration names in its own way; 0 without MLPs."""
    family = family_of(config)
    if "mlp" in family.lacks:
        return 0
    field = family.width_field
    return (getattr(config, field, None) if field else None) or 4 * config.hidden_size


def context(config: PretrainedConfig) -> int | None:
    """Tokens that a model was made to read at once; None where its configuration sets no limit."""
    for attribute in ("max_position_embeddings", "seq_length"):
        if tokens := getattr(config, attribute, None):
            return tokens
    return None


def _model_digest(folder: Path, file_digest: Callable[[Path], str]) -> str:
    decides = _deciding(folder, file_digest)
    return digest(decides | _AS_ITS_FILE if differs_from_its_file(folder) else decides)


def _deciding(folder: Path, file_digest: Callable[[Path], str]) -> dict[str, Any]:
    """What tells one model from another, but for how its tokenizer is read, on which the library has a say."""
    config = _read_json(folder / "config.json", folder)
    check_config(config, str(folder))
    config = _finite(without_older(config))
    for key in ("_name_or_path", "transformers_version"):
        config.pop(key, None)
    files = {path.name: file_digest(path) for path in (*weight_files(folder), *tokenizer_files(folder))}
    if TOKENIZER in files:
        files[TOKENIZER] = tokenizer_digest(folder / TOKENIZER) or files[TOKENIZER]
    return {"config": config, "files": files}


def _finite(value: Any) -> Any:
    """A parsed JSON value with infinity and NaN, which JSON has not but some configurations have, as words."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _read_json(path: Path, folder: Path) -> Any:
    if not folder.is_dir():
        raise RequestError(f"There is no folder {folder}; check the path.")
    if not os.path.lexists(path):
        raise RequestError(
            f"{folder} has no {path.name}; choose a folder that save_pretrained made, with config.json and "
            "*.safetensors files."
        )
    with reading(path), disk_errors(folder):
        content = path.read_bytes()
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{path} is not valid JSON; copy it again.") from error


def _no_weights(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    if other := [name for name in names if name.endswith(".safetensors")]:
        return f"{folder} holds {other[0]} but neither {SINGLE} nor {INDEX}; save the model again with save_pretrained."
    if pickles := [name for name in names if name.endswith(PICKLES)]:
        return (
            f"{folder} holds only pickled weights ({pickles[0]}), which can run any code when opened; save "
            "the model again as safetensors."
        )
    return f"{folder} has no *.safetensors file; choose a folder with weights."


def published_name(name: str, path: Path) -> str:
    """The name under which a model at `path` is published: a folder or file by its own name, not by where it lies."""
    adapter = Path(adapter_and_base(name)[0]).expanduser()
    if name.lower().endswith(".gguf") or is_adapter(adapter):
        return adapter.name
    given = Path(name).expanduser().resolve()
    if Path(path).resolve().is_relative_to(given) or given == Path(path).resolve() / SINGLE:
        return Path(path).name
    return given.name if given.is_dir() and quantisation_of(given) else name


def check_resized(config: PretrainedConfig, name: str) -> None:
    """RequestError unless `fnet_resized`, which comes with the folder, lists sizes that this architecture can have.

    It names projections, head counts and what has one number per head; a model is built from them.
    """
    resized = config.fnet_resized
    try:
        projections, attributes = dict(resized["projections"]), dict(resized["attributes"])
        parameters = dict(resized.get("parameters", {}))
        usable = (
            set(projections) <= _paths(config, _projections)
            and set(attributes) <= _paths(config, _counters)
            and set(parameters) <= _paths(config, lambda family: {family.per_head} - {""})
            and all(_is_shape(shape) for shape in projections.values())
            and all(_is_size(value) for value in (*attributes.values(), *parameters.values()))
        )
    except (TypeError, KeyError, ValueError):
        usable = False
    if not usable:
        raise RequestError(
            f"The sizes that {name} lists in its config.json under fnet_resized are not those of a pruned "
            f"{config.model_type} model; copy the folder again, or export it again."
        )


def _paths(config: PretrainedConfig, inside: Callable[[Family], Iterable[str]]) -> set[str]:
    """Dotted paths in every layer of what the architecture has inside one."""
    family = family_of(config)
    return {f"{family.layers}.{layer}.{path}" for layer in range(config.num_hidden_layers) for path in inside(family)}


def _projections(family: Family) -> Iterable[str]:
    """All that pruning resizes."""
    return filter(None, (*family.up, family.down, *family.qkv, family.attention_out))


def _counters(family: Family) -> Iterable[str]:
    """All attributes that count heads."""
    counters = (*family.head_counters, *family.group_counters, *family.head_sums)
    return (f"{family.attention}.{counter}" for counter in counters)


def _is_size(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _LARGEST_SIZE


def _is_shape(shape: Any) -> bool:
    return len(shape) == 3 and _is_size(shape[0]) and _is_size(shape[1]) and type(shape[2]) is bool
