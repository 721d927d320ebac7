"""Ways to change a model's weights without training: noise, quantisation, fewer layers, an average of two.

Shape legend: R output rows, C input columns of a weight matrix, G columns of one group.

Every function changes the model it is given, which is the caller's own copy.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from fnet_core.errors import RequestError
from fnet_core.models.depth import leave_out
from fnet_core.models.modules import Projection, check_dense, decoder_layers, weight_of
from fnet_core.models.structure import family_of
from fnet_core.progress import Report, silent

GROUP = 32
"""Input columns of one output row that share a quantisation scale."""


def linear_maps(model: PreTrainedModel) -> Iterator[tuple[int, str, Projection]]:
    """(layer, module path in the layer, module) of every linear map of the decoder layers, first layer first."""
    for number, layer in enumerate(decoder_layers(model)):
        for name, module in layer.named_modules():
            if isinstance(module, Projection):
                yield number, name, module


@torch.no_grad()
def add_noise(model: PreTrainedModel, ratio: float, generator: torch.Generator, report: Report = silent) -> None:
    """Add gaussian noise to every weight matrix, of `ratio` times the matrix's own standard deviation.

    Embeddings and each expert's matrices included; biases and norms, which are vectors, stay as they are.
    """
    matrices = [
        matrix
        for parameter in model.parameters()
        if parameter.ndim > 1
        for matrix in (parameter if parameter.ndim == 3 else (parameter,))
    ]
    for done, matrix in enumerate(matrices):
        report("changing", done / len(matrices))
        noise = torch.randn(matrix.shape, generator=generator)
        matrix.add_((noise * (ratio * matrix.float().std())).to(matrix))


@torch.no_grad()
def quantise(model: PreTrainedModel, bits: int, report: Report = silent) -> None:
    """Round every linear weight of the decoder layers to at most 2^bits - 1 values per group, stored dequantised.

    Round to nearest, symmetric: a group of `GROUP` columns of a row has the scale max(abs(w)) / (2^(bits-1) - 1).
    """
    check_rounded(model)
    maps = list(linear_maps(model))
    for done, (_, _, module) in enumerate(maps):
        report("changing", done / len(maps))
        weight = weight_of(module)
        for group_RG in weight.split(GROUP, dim=1):
            group_RG.copy_(rounded(group_RG, bits))


def check_rounded(model: PreTrainedModel) -> None:
    """RequestError for a mixture, and for a model read by structure with matrices that no linear map holds."""
    if not family_of(model.config).by_structure:
        check_dense(model, "rounding weights")
        return
    held = {id(module.weight) for _, _, module in linear_maps(model)}
    for layer in decoder_layers(model):
        for name, parameter in layer.named_parameters():
            if parameter.ndim > 1 and id(parameter) not in held:
                raise RequestError(
                    f"A {model.config.model_type} model is read by its structure, and {name} is no linear map whose "
                    "weights could be rounded; choose noise instead."
                )


def rounded(group_RG: Tensor, bits: int) -> Tensor:
    """Each row rounded to multiples of its own largest magnitude over 2^(bits-1) - 1."""
    levels = 2 ** (bits - 1) - 1
    scale_R1 = group_RG.abs().amax(dim=1, keepdim=True) / levels
    return torch.where(scale_R1 > 0, (group_RG / scale_R1).round(), 0.0) * scale_R1


def dropped_layers(count: int, layers: int) -> tuple[int, ...]:
    """The `count` layers of `layers` to leave out: evenly spread over all but the first and the last.

    RequestError if there are not so many between.
    """
    between = layers - 2
    if not 1 <= count <= between:
        raise RequestError(
            f"{count} layers cannot be dropped from {layers}, of which the first and last stay; "
            + (f"choose 1 to {between}." if between > 0 else "choose a deeper model.")
        )
    return tuple(1 + int((i + 0.5) * between / count) for i in range(count))


def drop_layers(model: PreTrainedModel, count: int) -> tuple[int, ...]:
    """Leave out `count` decoder layers, in the model and in its configuration; returns their numbers.

    RequestError as `dropped_layers` and `leave_out`.
    """
    dropped = dropped_layers(count, len(decoder_layers(model)))
    leave_out(model, dropped)
    return dropped


@torch.no_grad()
def merge(model: PreTrainedModel, other: nn.Module, report: Report = silent, share: float = 0.5) -> None:
    """Make every parameter the mean of both models', of the other `share`.

    RequestError unless their parameters have the same shapes.
    """
    ours, theirs = dict(model.named_parameters()), dict(other.named_parameters())
    if ours.keys() != theirs.keys():
        raise RequestError(
            f"The two models hold different tensors ({min(ours.keys() ^ theirs.keys())}, ...); merge models of one "
            "configuration."
        )
    for name, parameter in ours.items():
        if parameter.shape != theirs[name].shape:
            raise RequestError(
                f"{name} is {_shape(parameter)} in one model and {_shape(theirs[name])} in the other; merge models of "
                "one configuration."
            )
    for done, (name, parameter) in enumerate(ours.items()):
        report("changing", done / len(ours))
        parameter.lerp_(theirs[name].to(parameter), share)


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape))
