"""One streaming pass over calibration text: how every MLP neuron and every attention channel behaves.

Shape legend: L layers, T tokens, S special tokens before a text, N MLP neurons of a layer, C attention channels of a
layer (heads times their size), B blocks of columns.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from fnet_core.activations.hooks import touching, touching_taps
from fnet_core.activations.reading import tokenize
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import decoder_layers, head_size, mlp_widths, signal_taps, site_widths
from fnet_core.models.running import main_device
from fnet_core.progress import Report, silent
from fnet_core.texts import Passage

Signals = Literal["none", "inputs", "published"]


@dataclass(frozen=True, eq=False)
class Moments:
    """How each input of one projection behaves, float64 on the CPU."""

    mean_N: Tensor
    """Over the tokens of all texts."""
    variance_N: Tensor
    start_SN: Tensor
    """At the special tokens before a text, which see no text and so are always the same; often one row, or none."""

    @property
    def square_N(self) -> Tensor:
        """Mean square."""
        return self.variance_N + self.mean_N.square()


class _Running:
    """Moments that grow passage by passage (Chan et al. 1979), exact in float64 whatever the means are.

    They stay where the layer is, so that no layer makes the accelerator wait for the host.
    """

    def __init__(self, width: int) -> None:
        self.tokens = 0
        self.mean_N = torch.zeros(width, dtype=torch.float64)
        self.squares_N = torch.zeros(width, dtype=torch.float64)
        self.start_SN = torch.zeros(0, width, dtype=torch.float64)

    def begin(self, start_SN: Tensor) -> None:
        """Take the special tokens before the text, and the device of all that follows."""
        self.start_SN = start_SN.double()
        self.mean_N, self.squares_N = (each.to(start_SN.device) for each in (self.mean_N, self.squares_N))

    def add(self, values_TN: Tensor) -> None:
        tokens = len(values_TN)
        mean_N = values_TN.mean(dim=0, dtype=torch.float32)
        squares_N = (values_TN.float() - mean_N).square_().sum(dim=0).double()
        step_N = mean_N.double() - self.mean_N
        total = self.tokens + tokens
        self.squares_N += squares_N + step_N.square() * (self.tokens * tokens / total)
        self.mean_N += step_N * (tokens / total)
        self.tokens = total

    def moments(self) -> Moments:
        return Moments(self.mean_N.cpu().clone(), (self.squares_N / self.tokens).cpu(), self.start_SN.cpu())


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the calibration text showed of every layer."""

    tokens: int
    mlp_L: tuple[Moments, ...]
    """Inputs of each down-projection, (N,); empty for a mixture of experts."""
    attention_L: tuple[Moments, ...]
    """Inputs of each attention output projection, (C,); empty where heads were not asked for."""


class Calibrator:
    """Keeps the moments of every layer while passages go by; their signals can be decomposed on the way.

    `signals` is what `subjects` yields of each passage, blocks side by side: "none"; the "inputs" of the
    down-projections, N columns a layer, and with heads the attention channels of each layer after all of them; or the
    "published" pair of up and activation signal, 2N columns a layer, and with heads its attention channels behind them.
    """

    def __init__(self, loaded: LoadedModel, *, heads: bool = False, signals: Signals = "none") -> None:
        self._loaded = loaded
        self._heads = heads
        self._signals = signals
        self._widths_L = mlp_widths(loaded.model)
        self._layers = len(decoder_layers(loaded.model))
        self._mlp = [_Running(width) for width in self._widths_L]
        self._attention = [_Running(width) for width in self.attention_widths]

    @property
    def attention_widths(self) -> tuple[int, ...]:
        """Attention channels per layer; empty where heads were not asked for."""
        size = head_size(self._loaded.model)
        return tuple(size * count for count in site_widths(self._loaded.model, "heads")) if self._heads else ()

    @property
    def signal_widths(self) -> tuple[int, ...]:
        """Columns of each block that `subjects` yields: one block per layer, or per projection for "inputs"."""
        match self._signals:
            case "none":
                return (0,) * self._layers
            case "inputs":
                return self._widths_L + self.attention_widths
        none = (0,) * self._layers
        widths_L, channels = self._widths_L or none, self.attention_widths or none
        return tuple(2 * width + more for width, more in zip(widths_L, channels, strict=True))

    @torch.no_grad()
    def subjects(self, passages: Sequence[Passage], report: Report = silent) -> Iterator[Tensor]:
        """Run each passage once and yield its signals, (T, sum of `signal_widths`) float32 on the model's device.

        Special tokens are left out. Raises RequestError for a passage that cannot be read and for activations that
        are not finite. `report` gets the stage "capturing" and may raise to stop.
        """
        loaded = self._loaded
        tokens = [tokenize(loaded, passage) for passage in passages]
        device = main_device(loaded.model)
        edges_B = np.cumsum((0, *self.signal_widths))
        for i, (passage, token) in enumerate(zip(passages, tokens, strict=True)):
            out_TN = torch.empty(int(token.text_T.sum()), int(edges_B[-1]), device=device)

            def text_only(x: Tensor, token=token) -> Tensor:
                return token.of_text(x.reshape(-1, x.shape[-1]))

            total = torch.zeros((), dtype=torch.float64, device=device)

            def observed(
                running: _Running, layer: int, x: Tensor, i=i, token=token, text_only=text_only, total=total
            ) -> Tensor:
                report("capturing", (i + layer / self._layers) / len(passages))
                values_TN = text_only(x)
                if not running.tokens:
                    running.begin(x.reshape(-1, x.shape[-1])[: token.before_text])
                running.add(values_TN)
                total.add_(running.squares_N.sum().to(device))
                return values_TN

            def mlp_input(layer: int, x: Tensor, out_TN=out_TN, observed=observed) -> None:
                values_TN = observed(self._mlp[layer], layer, x)
                if self._signals == "inputs":
                    out_TN[:, edges_B[layer] : edges_B[layer + 1]].copy_(values_TN)

            def attention_input(layer: int, x: Tensor, out_TN=out_TN, observed=observed) -> None:
                values_TC = observed(self._attention[layer], layer, x)
                if self._signals != "none":
                    block = layer + (len(self._widths_L) if self._signals == "inputs" else 0)
                    out_TN[:, edges_B[block + 1] - values_TC.shape[1] : edges_B[block + 1]].copy_(values_TC)

            def signal(x: Tensor, first: int, width: int, out_TN=out_TN, text_only=text_only, total=total) -> None:
                values_TN = text_only(x)[:, -width:]
                total.add_(values_TN.sum(dtype=torch.float32).to(total))
                out_TN[:, first : first + width].copy_(values_TN)

            def up_signal(layer: int, x: Tensor, signal=signal) -> None:
                signal(x, edges_B[layer], self._widths_L[layer])

            def activation_signal(layer: int, x: Tensor, signal=signal) -> None:
                signal(x, edges_B[layer] + self._widths_L[layer], self._widths_L[layer])

            with ExitStack() as stack:
                if self._widths_L:
                    stack.enter_context(touching(loaded.model, "mlp", mlp_input))
                if self._heads:
                    stack.enter_context(touching(loaded.model, "heads", attention_input))
                if self._widths_L and self._signals == "published":
                    up_taps, activation_taps = signal_taps(loaded.model)
                    stack.enter_context(touching_taps(up_taps, up_signal))
                    stack.enter_context(touching_taps(activation_taps, activation_signal))
                loaded.model.base_model(input_ids=token.ids_T[None].to(device), use_cache=False)
            if not torch.isfinite(total):
                raise RequestError(
                    f"{loaded.name} gives infinite activations on the passage '{passage.name}'; its weights are "
                    "damaged, or its numbers are too large for this precision."
                )
            yield out_TN
        report("capturing", 1.0)

    def result(self) -> Calibration:
        """The moments over all passages read so far."""
        return Calibration(
            (self._mlp or self._attention)[0].tokens,
            tuple(running.moments() for running in self._mlp),
            tuple(running.moments() for running in self._attention),
        )
