"""Mean inputs with all earlier layers already pruned: the bias of the published pruning code (arXiv 2508.05239).

Shape legend: L layers, N MLP neurons of a layer, C attention channels of a layer, T tokens.
"""

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fnet_core.activations.hooks import touching_taps
from fnet_core.activations.reading import Tokens, tokenize
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import Tap, attention_projections, decoder_layers, mlp_widths, taps
from fnet_core.models.running import main_device
from fnet_core.progress import Report, silent
from fnet_core.pruning.compensation import Replacement, mean_replacement
from fnet_core.texts import Passage


@dataclass(frozen=True, eq=False)
class _Call:
    """How the model called one of its layers."""

    arguments: tuple[Any, ...]
    options: dict[str, Any]

    def again(self, layer: nn.Module, hidden: Tensor) -> Tensor:
        """Call the layer alike with another hidden state, and return the new one."""
        if self.arguments:
            output = layer(hidden, *self.arguments[1:], **self.options)
        else:
            output = layer(**(self.options | {"hidden_states": hidden}))
        return output[0] if isinstance(output, tuple) else output

    @property
    def hidden(self) -> Tensor:
        return self.arguments[0] if self.arguments else self.options["hidden_states"]


@contextmanager
def _recording(layers: Sequence[nn.Module], calls: list[_Call]):
    """Append how each layer is called while the context is open."""

    def record(module: nn.Module, arguments: tuple, options: dict) -> None:
        if calls:  # the hidden state of the first layer alone is needed
            arguments = (None, *arguments[1:]) if arguments else arguments
            options = options | {"hidden_states": None} if "hidden_states" in options else options
        calls.append(_Call(arguments, options))

    handles = [layer.register_forward_pre_hook(record, with_kwargs=True) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def sequential_replacements(
    loaded: LoadedModel,
    keep_mlp: Sequence[Tensor],
    keep_attention: Sequence[Tensor],
    passages: Sequence[Passage],
    report: Report = silent,
) -> tuple[list[Replacement], list[Replacement]]:
    """Mean replacements of every layer's MLP and attention, each from a model whose earlier layers are pruned; none of
    MLPs in a mixture of experts.

    Layer by layer: its means over all passages, then its pruned output, which the next layer reads. The hidden states
    of all passages are held at once.
    """
    model, device = loaded.model, main_device(loaded.model)
    layers = decoder_layers(model)
    sites = (
        (taps(model, "mlp") if mlp_widths(model) else [], keep_mlp),
        (taps(model, "heads") if attention_projections(model) else [], keep_attention),
    )
    tokens = [tokenize(loaded, passage) for passage in passages]
    calls: list[list[_Call]] = []
    for i, token in enumerate(tokens):
        report("capturing", i / len(tokens))
        calls.append([])
        with _recording(layers, calls[-1]):
            model.base_model(input_ids=token.ids_T[None].to(device), use_cache=False)
    hidden = [recorded[0].hidden for recorded in calls]
    found: tuple[list[Replacement], list[Replacement]] = [], []
    there = [(at, keep, made) for (at, keep), made in zip(sites, found, strict=True) if at]
    for number, layer in enumerate(layers):
        report("compensating", number / len(layers))
        places, keeps = [at[number] for at, _, _ in there], [keep[number] for _, keep, _ in there]
        sums: list[Any] = [0.0] * len(there)
        for state, recorded, token in zip(hidden, calls, tokens, strict=True):
            with _summing(places, token, sums):
                recorded[number].again(layer, state)
        count = sum(int(token.text_T.sum()) for token in tokens)
        for (_, _, made), total, keep in zip(there, sums, keeps, strict=True):
            made.append(mean_replacement(total / count, keep))
        with _replaced(places, [made[-1] for _, _, made in there], keeps):
            hidden = [recorded[number].again(layer, state) for state, recorded in zip(hidden, calls, strict=True)]
    report("compensating", 1.0)
    return found


@contextmanager
def _summing(places: Sequence[Tap], token: Tokens, sums: list[Any]):
    """Add the text tokens' inputs at each place to `sums` while the context is open."""

    def touch(place: int, x: Tensor) -> None:
        values_TN = token.of_text(x.reshape(-1, x.shape[-1]))
        sums[place] = sums[place] + values_TN.sum(dim=0, dtype=torch.float64).cpu()

    with touching_taps(places, touch):
        yield


@contextmanager
def _replaced(places: Sequence[Tap], replacements: Sequence[Replacement], keeps: Sequence[Tensor]):
    """Mask each place and put its replacement in while the context is open."""

    def touch(place: int, x: Tensor) -> Tensor | None:
        if keeps[place].all():
            return None
        return replacements[place].to(x.device).apply(x, keeps[place].to(x.device))

    with touching_taps(places, touch):
        yield
