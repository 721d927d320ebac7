"""Cut neurons and heads out of a model's projections: a smaller model that computes what masking them computes.

Shape legend: L layers, N MLP neurons of a layer, C attention channels of a layer, H query heads, G key/value groups.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from fnet_core.models.depth import leave_out
from fnet_core.models.modeling_fnet import new_projection, set_attribute
from fnet_core.models.modules import (
    Projection,
    attention_projections,
    head_parameters,
    head_rows,
    head_size,
    heads_per_group,
    mlp_projections,
    site_widths,
    weight_in_place,
)
from fnet_core.models.structure import family_of
from fnet_core.pruning.compensation import Replacement
from fnet_core.pruning.masking import Pruning, adds_bias
from fnet_core.pruning.plan import PrunePlan


@torch.no_grad()
def cut(model: PreTrainedModel, pruning: Pruning) -> None:
    """Make the model smaller in place; its configuration then says so, or lists what it cannot say.

    The configuration gets ordinary fields where all layers end alike and no bias was added, and `fnet_resized` (see
    `modeling_fnet`) otherwise.
    """
    plan = pruning.plan
    if plan.dropped:
        leave_out(model, plan.dropped)
        return
    plain = not brings_code(model, pruning)
    names = {id(module): name for name, module in model.named_modules()}
    before, lengths = _shapes(model, names), _lengths(model)
    attributes: dict[str, int] = {}
    for layer, keep in enumerate(plan.keep_mlp):
        if not keep.all():
            _cut_mlp(model, names, layer, keep, pruning)
    for layer, keep in enumerate(plan.keep_heads):
        if not keep.all():
            attributes |= _cut_heads(model, names, layer, keep, pruning)
    for path, value in attributes.items():
        set_attribute(model, path, value)
    _describe(model, plan, before, lengths, attributes, plain)


def brings_code(model: PreTrainedModel, pruning: Pruning) -> bool:
    """Whether the model, once cut, is more than its configuration can say, so that its folder brings code.

    So it is where layers end unlike, a bias is added, or the configuration counts no heads or neurons.
    """
    plan, family = pruning.plan, family_of(model.config)
    if plan.dropped:
        return bool(getattr(model.config, "fnet_resized", None))
    cut_projections = [
        (projection, replacement)
        for projections, keeps, replacements in (
            ([mlp.down for mlp in mlp_projections(model)], plan.keep_mlp, pruning.mlp_L),
            ([attention.out for attention in attention_projections(model)], plan.keep_heads, pruning.attention_L),
        )
        for projection, keep, replacement in zip(projections, keeps, replacements, strict=False)
        if not keep.all()
    ]
    added_bias = any(new is not None and adds_bias(old, new) for old, new in cut_projections)
    resized = (getattr(model.config, "fnet_resized", None) or {}).get("projections")
    sayable = (plan.removed_neurons == 0 or bool(family.width_field)) and (
        plan.removed_heads == 0 or family.heads_in_config
    )
    return not (sayable and plan.uniform and not added_bias and not resized)


def _shapes(model: PreTrainedModel, names: dict[int, str]) -> dict[str, list]:
    """[inputs, outputs, has bias] of every projection that pruning may change, by module path."""
    modules = [m for mlp in mlp_projections(model) for m in (*mlp.up, mlp.down)]
    modules += [m for attention in attention_projections(model) for m in (*attention.qkv, attention.out)]
    return {names[id(module)]: _shape(module) for module in modules}


def _lengths(model: PreTrainedModel) -> dict[str, int]:
    """The length of everything that holds one number per head, by its path."""
    return {path: len(parameter) for path, parameter in head_parameters(model).items()}


def _shape(projection: Projection) -> list:
    outputs, inputs = weight_in_place(projection).shape
    return [inputs, outputs, projection.bias is not None]


def _put(
    model: PreTrainedModel, names: dict[int, str], old: Projection, weight_ON: Tensor, bias_O: Tensor | None
) -> None:
    """Replace a projection by one with these weights."""
    outputs, inputs = weight_ON.shape
    new = new_projection(old, inputs, outputs, bias_O is not None)
    weight_in_place(new).copy_(weight_ON)
    if bias_O is not None:
        new.bias.copy_(bias_O)
    path = names.pop(id(old))
    owner, _, name = path.rpartition(".")
    setattr(model.get_submodule(owner), name, new)
    names[id(new)] = path


def _cut_rows(model: PreTrainedModel, names: dict[int, str], projection: Projection, rows: Tensor) -> None:
    bias = projection.bias[rows] if projection.bias is not None else None
    _put(model, names, projection, weight_in_place(projection)[rows], bias)


def _cut_columns(
    model: PreTrainedModel,
    names: dict[int, str],
    projection: Projection,
    keep_N: Tensor,
    replacement: Replacement | None,
) -> None:
    """Drop inputs; what stands in for them goes into the kept weights and the bias."""
    assert replacement is not None
    weight_ON = weight_in_place(projection)
    bias_O: Tensor | None = projection.bias
    kept_ON = weight_ON[:, keep_N]
    if replacement.changes_projection:
        kept_ON, added_O = replacement.fold(weight_ON, keep_N)
        if adds_bias(projection, replacement):
            bias_O = added_O
        elif bias_O is not None:
            bias_O = bias_O + added_O
    _put(model, names, projection, kept_ON, bias_O)


def _cut_mlp(model: PreTrainedModel, names: dict[int, str], layer: int, keep: np.ndarray, pruning: Pruning) -> None:
    mlp = mlp_projections(model)[layer]
    kept = torch.from_numpy(np.flatnonzero(keep))
    for up in mlp.up:
        blocks = weight_in_place(up).shape[0] // len(keep)
        _cut_rows(model, names, up, torch.cat([kept + block * len(keep) for block in range(blocks)]))
    _cut_columns(model, names, mlp.down, torch.from_numpy(keep), pruning.mlp_L[layer])


def _cut_heads(
    model: PreTrainedModel, names: dict[int, str], layer: int, keep: np.ndarray, pruning: Pruning
) -> dict[str, int]:
    """Cut one layer's attention; returns the attributes, by path, that count its heads."""
    family = family_of(model.config)
    attention = attention_projections(model)[layer]
    size, shared = head_size(model), heads_per_group(model)
    queries = torch.from_numpy(np.repeat(keep, size))
    keys = torch.from_numpy(np.repeat(keep[::shared], size))
    _cut_columns(model, names, attention.out, queries, pruning.attention_L[layer])
    if len(attention.qkv) == 1:
        rows = head_rows(model, len(keep))
        kept = torch.cat([rows["q"][queries], rows["k"][keys], rows["v"][keys]]).sort().values
        _cut_rows(model, names, attention.qkv[0], kept)
    else:
        for projection, mask in zip(attention.qkv, (queries, keys, keys), strict=True):
            _cut_rows(model, names, projection, mask.nonzero().flatten())
    path, heads = names[id(attention.module)], int(keep.sum())
    if family.per_head:
        owner, _, name = f"{family.layers}.{layer}.{family.per_head}".rpartition(".")
        old = model.get_submodule(owner).get_parameter(name)
        kept_H = old[torch.from_numpy(keep).to(old.device)]
        setattr(model.get_submodule(owner), name, torch.nn.Parameter(kept_H, old.requires_grad))
    counted = {name: heads for name in family.head_counters}
    counted |= {name: heads // shared for name in family.group_counters}
    counted |= {name: heads * size for name in family.head_sums}
    return {f"{path}.{name}": value for name, value in counted.items()}


def _describe(
    model: PreTrainedModel,
    plan: PrunePlan,
    before: dict[str, list],
    lengths: dict[str, int],
    attributes: dict[str, int],
    plain: bool,
) -> None:
    """Let the configuration say what the model has become."""
    config, family = model.config, family_of(model.config)
    if plain:
        if plan.removed_neurons:
            setattr(config, family.width_field, site_widths(model, "mlp")[0])
        if plan.removed_heads:
            size, shared = head_size(model), heads_per_group(model)
            heads = int(plan.keep_heads[0].sum())
            config.head_dim, config.num_attention_heads = size, heads
            config.num_key_value_heads = heads // shared
        return
    names = {id(module): name for name, module in model.named_modules()}
    changed = {path: shape for path, shape in _shapes(model, names).items() if shape != before[path]}
    shorter = {path: length for path, length in _lengths(model).items() if length != lengths[path]}
    earlier: dict[str, Any] = getattr(config, "fnet_resized", None) or {"projections": {}, "attributes": {}}
    config.fnet_resized = {
        "projections": earlier["projections"] | changed,
        "attributes": earlier["attributes"] | attributes,
    }
    if parameters := earlier.get("parameters", {}) | shorter:
        config.fnet_resized["parameters"] = parameters
    config.auto_map = {"AutoModelForCausalLM": f"modeling_fnet.{type(model).__name__}"}
