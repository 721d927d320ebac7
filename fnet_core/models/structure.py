"""The row of an architecture that is not in the table, found by its structure, or why there is none.

The model is built without memory and one forward pass is followed: the attention branch is the one whose projection
reads what a softmax mixed over the tokens, and both branches must be added to the stream as they are. Once it is
loaded, `check_structure` holds the row against the model's own numbers.
"""

import copy
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.pytorch_utils import Conv1D

from fnet_core.models.families import FAMILIES, check_site, not_supported
from fnet_core.models.family import Family
from fnet_core.models.tracing import MIXED, Following, Value

BY_STRUCTURE = (
    "It is read by its structure, for its architecture is not in the table: networks are found and edited and "
    "fingerprints taken, and neither neurons nor heads nor edits are cut into its weights. Its own numbers are held "
    "against that when it is loaded."
)
"""What is said of a model whose row was found so."""
_IDS = 12
_known: dict[str, "Structure | str"] = {}
"""What was found before, by configuration."""


@dataclass(frozen=True)
class Structure:
    """A row, and the module in each layer whose output the attention branch adds to the stream."""

    family: Family
    attention_branch: str


class _Unclear(Exception):
    """Half a sentence that says what could not be told from the structure."""


def check_known(model_type: str) -> None:
    """RequestError unless the architecture is in the table or a language model that may be read by structure."""
    if model_type not in FAMILIES and model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise not_supported(model_type)


def family_of(config: PretrainedConfig) -> Family:
    """The row of a configuration's architecture, from the table or by structure; `RequestError` if there is none."""
    return FAMILIES.get(config.model_type) or structure_of(config).family


def check_site_of(config: PretrainedConfig, site: str) -> None:
    """RequestError, naming the sites that work, unless this configuration's architecture has this one."""
    check_site(family_of(config), config.model_type, site)


def structure_note(config: PretrainedConfig) -> str:
    """That a model is read by structure, as a sentence; empty for one in the table."""
    return "" if config.model_type in FAMILIES else BY_STRUCTURE


def structure_of(config: PretrainedConfig) -> Structure:
    """What the forward pass of this configuration's model says; `RequestError` names what is ambiguous."""
    check_known(config.model_type)
    if config.model_type in FAMILIES or type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise not_supported(config.model_type)
    key = config.to_json_string(use_diff=False)
    if key not in _known:
        _known[key] = _read(config)
    found = _known[key]
    if isinstance(found, str):
        raise not_supported(config.model_type, f"it is not in the table, and by its structure {found}")
    return found


def _read(config: PretrainedConfig) -> Structure | str:
    config = copy.deepcopy(config)
    with suppress(StrictDataclassError, TypeError):
        config.pad_token_id = None  # else the library looks for it in the ids, which have no values
    try:
        kind: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]  # annotated as a pair of classes
        with torch.device("meta"):
            model = kind(config).eval()
        return read_structure(model.bfloat16())
    except _Unclear as unclear:
        return str(unclear)
    except Exception as error:  # whatever a forward pass of a library raises where there are no numbers
        return f"it could not be followed without its weights ({type(error).__name__})"


def layers_path(model: nn.Module, count: int) -> str:
    """Where the decoder layers are: the one list of as many modules of one class as the model says it has layers."""
    lists = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == count and len({type(layer) for layer in module}) == 1
    ]
    if len(lists) != 1:
        raise _Unclear(f"{len(lists) or 'no'} lists of {count} alike modules could be its decoder layers")
    return lists[0]


def read_structure(model: PreTrainedModel) -> Structure:
    """The row of a model that lies on torch's meta device; `_Unclear` says what could not be told."""
    path = layers_path(model, model.config.num_hidden_layers)
    found = _followed(model, model.get_submodule(path))
    if len(set(found)) != 1:
        raise _Unclear("its layers are not built alike")
    layer = found[0]
    out = model.get_submodule(f"{path}.0.{layer.attention_out}")
    size = getattr(model.config, "head_dim", None) or model.config.hidden_size // model.config.num_attention_heads
    if _shape(out)[0] != size * model.config.num_attention_heads:
        raise _Unclear("the inputs of its attention's output projection are not its heads times their size")
    inputs, outputs = _shape(model.get_submodule(f"{path}.0.{layer.down}"))
    if outputs != model.config.hidden_size or inputs <= outputs:
        raise _Unclear("no projection leads from more inputs than the model is wide back to its width")
    family = Family(
        layers=path,
        up=(),
        gated=False,
        activation="",
        down=layer.down,
        mlp_out=layer.mlp_out,
        qkv=layer.qkv,
        attention_out=layer.attention_out,
        width_field="",
        heads_bound="it is read by its structure",
        heads_in_config=False,
        by_structure=True,
    )
    return Structure(family, layer.attention_branch)


@dataclass(frozen=True)
class _Layer:
    """What one layer's pass says, as module paths in it."""

    down: str
    mlp_out: str
    attention_out: str
    attention_branch: str
    qkv: tuple[str, ...]


def _followed(model: PreTrainedModel, layers: nn.Module) -> list[_Layer]:
    """What each decoder layer does, from one forward pass."""
    following = Following()
    projections = {id(module) for module in layers.modules() if isinstance(module, (nn.Linear, Conv1D))}
    mixed: set[str] = set()
    found: list[_Layer] = []
    entered: list[Value] = []
    handles = []

    def enter(module: nn.Module, args: tuple, kwargs: dict) -> None:
        stream = args[0] if args else kwargs["hidden_states"]
        entered[:] = [following.mark(stream, "")]
        mixed.clear()
        following.queries.clear()

    def leave(module: nn.Module, args: tuple, output: Tensor | tuple) -> None:
        left = following.value(output[0] if isinstance(output, tuple) else output)
        found.append(_layer(left.summands(entered[0]), entered[0], mixed, following.queries))

    def watch(name: str, module: nn.Module) -> None:
        def before(module: nn.Module, args: tuple) -> None:
            if MIXED in following.value(args[0]).marks:
                mixed.add(name)

        def after(module: nn.Module, args: tuple, output: Tensor | tuple) -> None:
            first = output[0] if isinstance(output, tuple) else output
            if isinstance(first, Tensor):
                new = id(module) in projections
                value = following.mark(first, name) if new else following.value(first)
                value.names.add(name)

        if id(module) in projections:
            handles.append(module.register_forward_pre_hook(before))
        handles.append(module.register_forward_hook(after))

    for layer in layers.children():
        for name, module in layer.named_modules():
            if name:
                watch(name, module)
        handles.append(layer.register_forward_pre_hook(enter, with_kwargs=True))
        handles.append(layer.register_forward_hook(leave))
    try:
        with torch.no_grad(), following:
            model(input_ids=torch.zeros(1, _IDS, dtype=torch.int64, device="meta"), use_cache=True)
    finally:
        for handle in handles:
            handle.remove()
    if len(found) != model.config.num_hidden_layers:
        raise _Unclear("its decoder layers do not each run once")
    return found


def _layer(summands: list[Value], entered: Value, mixed: set[str], queries: list[tuple[Value, Value, Value]]) -> _Layer:
    branches = [value for value in summands if value is not entered]
    if len(summands) != 3 or len(branches) != 2:
        raise _Unclear("a layer's output is not what entered it and two branches added to it")
    if not all(branch.names and len(branch.marks - {MIXED}) == 1 for branch in branches):
        raise _Unclear("what a branch adds to the stream is not what one projection gives, as in a mixture of experts")
    marked = {next(iter(branch.marks - {MIXED})): branch for branch in branches}
    attention = [name for name in marked if name in mixed]
    if len(marked) != 2 or len(attention) != 1:
        raise _Unclear("it cannot be told which branch is attention and which the MLP")
    (attention_out,) = attention
    (down,) = set(marked) - {attention_out}
    qkv: tuple[str, ...] = ()
    if len(queries) == 1 and all(len(value.marks) == 1 for value in queries[0]):
        names = tuple(next(iter(value.marks)) for value in queries[0])
        qkv = names if len(set(names)) == 3 else ()
    return _Layer(
        down, _outermost(marked[down], down), attention_out, _outermost(marked[attention_out], attention_out), qkv
    )


def _outermost(branch: Value, projection: str) -> str:
    """The module that stands for a branch: the largest one around its projection, else the one behind it."""
    return min(branch.names, key=lambda path: (not f"{projection}.".startswith(f"{path}."), path.count("."), path))


def _shape(projection: nn.Module) -> tuple[int, int]:
    """Inputs and outputs of a projection."""
    first, second = projection.get_parameter("weight").shape
    return (first, second) if isinstance(projection, Conv1D) else (second, first)
