"""The residual stream between layers, and what each layer does to it: scores of whole layers.

Shape legend: L layers, T tokens, H width of the stream, K networks, P = L + 1 places between layers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fnet_core.activations.reading import tokenize
from fnet_core.decomposition.canica import canica, standardize
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import decoder_layers
from fnet_core.models.running import main_device
from fnet_core.progress import Report, silent
from fnet_core.texts import Passage

RESTARTS = 4
"""Of the ICA that finds the stream's networks."""


@dataclass(frozen=True, eq=False)
class StreamSeen:
    """What each layer does to the residual stream, from 0, which is nothing; float64 on the CPU."""

    influence_L: Tensor
    """1 less the mean cosine between what enters a layer and what leaves it, over tokens of text.

    Source: block influence, Men et al. 2024, arXiv 2403.03853, equation 1.
    """
    coverage_L: Tensor | None
    """1 less the cosine between the maps of the stream's networks before and after a layer; None unless asked for."""


def see_stream(
    loaded: LoadedModel, passages: Sequence[Passage], components: int | None, seed: int, report: Report = silent
) -> StreamSeen:
    """What each layer does to the stream on some text; with `components`, to that many of its networks as well.

    RequestError for text that cannot be read, or is too short for so many networks.
    """
    total_L, tokens = torch.zeros(len(decoder_layers(loaded.model)), dtype=torch.float64), 0

    def subjects() -> Iterator[Tensor]:
        nonlocal total_L, tokens
        for stream_TPH in read_stream(loaded, passages, report):
            similar_TL = F.cosine_similarity(stream_TPH[:, :-1], stream_TPH[:, 1:], dim=-1)
            total_L += (1 - similar_TL.double()).sum(dim=0).cpu()
            tokens += len(stream_TPH)
            yield stream_TPH.flatten(1)

    places, width = len(total_L) + 1, loaded.model.config.hidden_size
    if components is None:
        for _ in subjects():
            pass
        return StreamSeen(total_L / tokens, None)
    (found,) = canica(
        (standardize(stream) for stream in subjects()),
        [places * width],
        components,
        seed=seed,
        restarts=RESTARTS,
        standardized=True,
        report=report,
    )
    maps_KPH = found.maps_KN.double().cpu().unflatten(1, (places, width))
    return StreamSeen(total_L / tokens, changed_maps(maps_KPH))


def changed_maps(maps_KPH: Tensor) -> Tensor:
    """1 less the cosine between all maps at each place and at the next, (places - 1,) float64."""
    maps_PN = maps_KPH.transpose(0, 1).flatten(1).double()
    return 1 - F.cosine_similarity(maps_PN[:-1], maps_PN[1:], dim=-1)


@torch.no_grad()
def read_stream(loaded: LoadedModel, passages: Sequence[Passage], report: Report = silent) -> Iterator[Tensor]:
    """The stream before the first layer and after every layer, (T, P, H) float32, passage by passage, text alone."""
    layers, device = decoder_layers(loaded.model), main_device(loaded.model)
    tokens = [tokenize(loaded, passage) for passage in passages]
    for number, token in enumerate(tokens):
        places: list[Tensor] = []

        def keep(x: Tensor, token=token, places=places) -> None:
            places.append(token.of_text(x.reshape(-1, x.shape[-1])).to(device, torch.float32))

        def enters(module: nn.Module, arguments: tuple, options: dict, keep=keep) -> None:
            keep(arguments[0] if arguments else options["hidden_states"])

        def leaves(module: nn.Module, arguments: tuple, output, keep=keep, places=places, number=number) -> None:
            report("capturing", (number + len(places) / len(layers)) / len(tokens))
            keep(output[0] if isinstance(output, tuple) else output)

        handles = [layers[0].register_forward_pre_hook(enters, with_kwargs=True)]
        handles += [layer.register_forward_hook(leaves) for layer in layers]
        try:
            loaded.model.base_model(input_ids=token.ids_T[None].to(device), use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        yield torch.stack(places, dim=1)
    report("capturing", 1.0)
