"""How the inputs of each projection vary together on calibration text, a few layers at a time.

Shape legend: N inputs of one projection (MLP neurons or attention channels), T tokens, S special tokens before a text,
B blocks: every layer's MLP and, with heads, every layer's attention after them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fnet_core.activations.reading import tokenize
from fnet_core.models.loading import LoadedModel
from fnet_core.progress import Report, silent
from fnet_core.pruning.calibration import Calibrator
from fnet_core.texts import Passage

BYTES_AT_ONCE = 4e9
"""Main memory that the matrices of one pass over the text may take; more layers need more passes."""


class Scatter:
    """Mean and products of deviations that grow passage by passage (Chan et al. 1979), float64 on the CPU."""

    def __init__(self, width: int) -> None:
        self.tokens = 0
        self.mean_N = torch.zeros(width, dtype=torch.float64)
        self.products_NN = torch.zeros(width, width, dtype=torch.float64)

    def add(self, values_TN: Tensor) -> None:
        """Take the inputs at more tokens in, (T, N) on any device."""
        mean_N = values_TN.mean(dim=0, dtype=torch.float32)
        centred_TN = values_TN.float() - mean_N
        self.take(len(values_TN), mean_N.double().cpu(), (centred_TN.T @ centred_TN).double().cpu())

    def take(self, tokens: int, mean_N: Tensor, products_NN: Tensor) -> None:
        """Take in more tokens of this mean and these products of deviations from it, float64."""
        total = self.tokens + tokens
        step_N = mean_N - self.mean_N
        self.products_NN += products_NN
        self.products_NN.addr_(step_N, step_N, alpha=self.tokens * tokens / total)
        self.mean_N = self.mean_N + step_N * (tokens / total)
        self.tokens = total

    def covariance(self, about_N: Tensor | None = None) -> Tensor:
        """Mean products of deviations from the own mean or from another point, (N, N) float64."""
        found_NN = self.products_NN / self.tokens
        if about_N is not None:
            step_N = self.mean_N - about_N
            found_NN.addr_(step_N, step_N)
        return found_NN


def merged(parts: Sequence[Scatter]) -> Scatter:
    """The scatter over all parts together."""
    whole = Scatter(len(parts[0].mean_N))
    for part in parts:
        whole.take(part.tokens, part.mean_N, part.products_NN)
    return whole


@dataclass(frozen=True, eq=False)
class BlockScatter:
    """One block's inputs: a scatter for each part of the text, and the inputs at special tokens before a text."""

    block: int
    parts: tuple[Scatter, ...]
    start_SN: Tensor
    """float64."""


def read_scatters(
    loaded: LoadedModel,
    parts: Sequence[Sequence[Passage]],
    blocks: Sequence[int],
    heads: bool,
    report: Report = silent,
) -> Iterator[BlockScatter]:
    """The scatters of some blocks over each part of the text, in as few passes over the text as memory allows.

    Raises RequestError for text that cannot be read.
    """
    texts = [(number, passage) for number, part in enumerate(parts) for passage in part]
    widths_B = Calibrator(loaded, heads=heads, signals="inputs").signal_widths
    edges_B = np.cumsum((0, *widths_B))
    rounds = _rounds(blocks, widths_B, len(parts))
    for turn, chosen in enumerate(rounds):

        def part_report(stage: str, fraction: float, turn=turn) -> None:
            report(stage, (turn + fraction) / len(rounds))

        reader = Calibrator(loaded, heads=heads, signals="inputs")
        found = {block: tuple(Scatter(widths_B[block]) for _ in parts) for block in chosen}
        subjects = reader.subjects([passage for _, passage in texts], part_report)
        for (number, _), values_TN in zip(texts, subjects, strict=True):
            for block, scatters in found.items():
                scatters[number].add(values_TN[:, edges_B[block] : edges_B[block + 1]])
        calibration = reader.result()
        moments_B = (*calibration.mlp_L, *calibration.attention_L)
        for block in chosen:
            yield BlockScatter(block, found.pop(block), moments_B[block].start_SN)


def scarcity(loaded: LoadedModel, passages: Sequence[Passage], heads: bool) -> str:
    """How much text would tell how a layer's inputs vary together, as a sentence; empty where there is enough.

    With no more tokens than inputs the Gram matrix is singular, and its penalty decides.
    """
    tokens = sum(int(tokenize(loaded, passage).text_T.sum()) for passage in passages)
    widest = max(Calibrator(loaded, heads=heads, signals="inputs").signal_widths)
    if tokens > widest:
        return ""
    return (
        f"The calibration text has {tokens:,} tokens and the widest layer {widest:,} inputs, so that text alone does "
        "not tell how they vary together (their Gram matrix is singular) and least squares rests on its penalty; "
        f"{widest + 1:,} tokens are enough for one that is not, and several times as many are better."
    )


def _rounds(blocks: Sequence[int], widths_B: Sequence[int], parts: int) -> list[list[int]]:
    """The blocks in runs whose matrices fit into memory together, one block at the least."""
    rounds: list[list[int]] = []
    room = 0.0
    for block in blocks:
        need = 8.0 * parts * widths_B[block] ** 2
        if not rounds or need > room:
            rounds.append([])
            room = BYTES_AT_ONCE
        rounds[-1].append(block)
        room -= need
    return rounds
