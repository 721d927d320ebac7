"""Whether a row that was found by structure tells the truth of a loaded model: its own numbers, on a few fixed ids.

Shape legend: L layers, T tokens, D width of the model.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from fnet_core.models.families import FAMILIES, not_supported
from fnet_core.models.modules import Projection, decoder_layers, weight_of
from fnet_core.models.structure import structure_of

_TOKENS = 12
_ROUNDINGS = 64
"""By how many rounding errors of the largest number two sums may differ."""


@torch.no_grad()
def check_structure(model: PreTrainedModel) -> None:
    """RequestError unless a model that is not in the table does, on fixed ids, what its row says.

    Each layer reads what the one before gave; its output is its input plus what both branches add; the projections'
    inputs times their weights are their outputs; and no token hears of a later one.
    """
    if model.config.model_type in FAMILIES:
        return
    ids = torch.arange(1, _TOKENS + 1, device=model.device)[None] % model.config.vocab_size
    rounding = _ROUNDINGS * torch.finfo(model.dtype).eps

    def equal(a: Tensor, b: Tensor) -> bool:
        return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=rounding * float(a.abs().max()))

    seen = _Pass(model, ids)
    other = _Pass(model, torch.cat([ids[:, :-1], (ids[:, -1:] + 1) % model.config.vocab_size], dim=1))
    for layer in range(len(seen.left)):
        entered, left = seen.entered[layer], seen.left[layer]
        follows = layer == 0 or equal(entered, seen.left[layer - 1])
        adds = equal(left, entered + seen.attended[layer] + seen.added[layer])
        recombines = all(equal(*pair) for pair in seen.projected[layer])
        causal = equal(left[:-1], other.left[layer][:-1]) and not torch.equal(left, other.left[layer])
        for holds, fails in (
            (follows, "does not read what the one before it gave"),
            (adds, "does not give what entered it and what its two branches add"),
            (recombines, "has activations that its projection does not turn into its output"),
            (causal, "lets a token hear of later ones"),
        ):
            if not holds:
                why = f"it is not in the table, and read by its structure, layer {layer} {fails}"
                raise not_supported(model.config.model_type, why)


class _Pass:
    """What one forward pass shows at the places that the row names: (T, D) float32 on the CPU, layer by layer."""

    def __init__(self, model: PreTrainedModel, ids: Tensor) -> None:
        found = structure_of(model.config)
        layers = decoder_layers(model)
        self.entered: list[Tensor] = [torch.empty(0)] * len(layers)
        self.left, self.attended, self.added = (list(self.entered) for _ in range(3))
        self.projected: list[list[tuple[Tensor, Tensor]]] = [[] for _ in layers]
        handles = []
        for number, layer in enumerate(layers):
            handles.append(layer.register_forward_pre_hook(_into(self.entered, number), with_kwargs=True))
            places = ((layer, self.left), (layer.get_submodule(found.attention_branch), self.attended))
            for module, kept in (*places, (layer.get_submodule(found.family.mlp_out), self.added)):
                handles.append(module.register_forward_hook(_out_of(kept, number)))
            for path in (found.family.down, found.family.attention_out):
                handles.append(layer.get_submodule(path).register_forward_hook(_both(self.projected[number])))
        try:
            model(input_ids=ids, use_cache=False)
        finally:
            for handle in handles:
                handle.remove()


def _rows(found: Tensor | tuple) -> Tensor:
    first = found[0] if isinstance(found, tuple) else found
    return first.detach().float().cpu().reshape(-1, first.shape[-1]).clone()


def _into(kept: list[Tensor], number: int) -> Callable[..., None]:
    def before(module: nn.Module, args: tuple, kwargs: dict) -> None:
        kept[number] = _rows(args[0] if args else kwargs["hidden_states"])

    return before


def _out_of(kept: list[Tensor], number: int) -> Callable[..., None]:
    def after(module: nn.Module, args: tuple, output: Tensor | tuple) -> None:
        kept[number] = _rows(output)

    return after


def _both(kept: list[tuple[Tensor, Tensor]]) -> Callable[..., None]:
    def after(module: Projection, args: tuple, output: Tensor) -> None:
        bias = None if module.bias is None else module.bias.float().cpu()
        kept.append((_rows(output), F.linear(_rows(args[0]), weight_of(module).float().cpu(), bias)))

    return after
