"""Low-rank adapters on the linear maps of the decoder layers, merged into the weights in the end.

Source: Hu et al. 2021, arXiv 2106.09685, equation 3: W + (alpha / r) B A, with B zero at first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from fnet_core.checks import check_range
from fnet_core.derivation.weights import linear_maps
from fnet_core.models.modules import Projection, weight_of

ALPHA_PER_RANK = 2.0
"""alpha / r, the usual factor."""


@dataclass(frozen=True, eq=False)
class Adapter:
    """What is added to one linear map: `down` is A, (rank, inputs); `up` is B, (outputs, rank)."""

    module: Projection
    down: nn.Parameter
    up: nn.Parameter

    @torch.no_grad()
    def merge(self) -> None:
        """Add the adapter to the map's weight in place."""
        weight_of(self.module).add_((ALPHA_PER_RANK * self.up @ self.down).to(self.module.weight))


@contextmanager
def adapters(model: PreTrainedModel, rank: int, generator: torch.Generator) -> Iterator[list[Adapter]]:
    """While inside, every linear map of the decoder layers has an adapter of this rank; the weights stay as they are.

    RequestError for a rank that is not below every map's width.
    """
    modules = [module for _, _, module in linear_maps(model)]
    smallest = min(min(module.weight.shape) for module in modules)
    check_range(rank, 1, smallest - 1, f"The rank {rank} is", f"choose 1 to {smallest - 1} for this model")
    made, handles = [], []
    try:
        for module in modules:
            outputs, inputs = weight_of(module).shape
            start = torch.randn(rank, inputs, generator=generator) / inputs**0.5
            adapter = Adapter(
                module,
                nn.Parameter(start.to(module.weight.device)),
                nn.Parameter(torch.zeros(outputs, rank, device=module.weight.device)),
            )
            made.append(adapter)
            handles.append(module.register_forward_hook(_adding(adapter)))
        yield made
    finally:
        for handle in handles:
            handle.remove()


def _adding(adapter: Adapter):
    def add(module: nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        return output + ALPHA_PER_RANK * (inputs[0] @ adapter.down.T) @ adapter.up.T

    return add
