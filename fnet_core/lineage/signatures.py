"""Every neuron's two signals in 64 bytes each: the signs of random projections, which keep how alike signals are.

The share of equal signs of two signals is 1 - angle / pi (Charikar 2002, sign random projections), so it orders pairs
as their correlation does. The projections come from a public seed, by a hash that every machine computes alike.
Shape legend: N neurons of a layer, M neurons of all layers, P passages, G grid points of one passage, B bytes per
passage, D signs of all passages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_256
from typing import Any, Literal, get_args

import numpy as np

from fnet_core.progress import Report, silent

Form = Literal["gated", "ungated"]
"""Whether the two signals are gate and up, or what a neuron reads and what it writes."""

FORMS: tuple[Form, ...] = get_args(Form)

BYTES = 64
"""Of each signal, shared out evenly among the passages."""

SEED = "FNet neuron signatures, version 1"
"""What the projections are drawn by. Another text here means another kind of file."""


@dataclass(frozen=True, eq=False)
class LayerSignals:
    """A layer's two signals per neuron, so scaled that products of rows say how alike they are; zeros where constant.

    Live ones are, in each passage, centred and all together of norm 1; those from a file are signs of norm 1.
    """

    gate_NG: np.ndarray
    """float32: what enters the activation function."""
    up_NG: np.ndarray
    """float32: what its value is multiplied with; without a gate what the neuron writes, see `neuron_signals`."""


@dataclass(frozen=True, eq=False)
class Signatures:
    """Both signals of all neurons of a model, as bits."""

    form: Form
    widths: tuple[int, ...]
    """Neurons of each layer."""
    points: tuple[int, ...]
    """Grid points of each passage that was read."""
    gate_MPB: np.ndarray
    """uint8, eight signs a byte; all zeros where the signal does not vary in the passage."""
    up_MPB: np.ndarray

    def layer(self, layer: int, neurons: np.ndarray | None = None) -> LayerSignals:
        """The signals of a layer, or of the neurons listed, (N, D) float32: 1 or -1 over sqrt(D), or 0."""
        start = sum(self.widths[:layer])
        rows = np.arange(self.widths[layer]) if neurons is None else neurons
        return LayerSignals(*(_unpacked(bits_MPB[start + rows]) for bits_MPB in (self.gate_MPB, self.up_MPB)))

    def parts(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and header as a file holds them."""
        header = {"form": self.form, "widths": list(self.widths), "points": list(self.points), "seed": SEED}
        return {"neurons.gate": self.gate_MPB, "neurons.up": self.up_MPB}, header

    @classmethod
    def from_parts(cls, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> "Signatures":
        """The reverse of `parts`; ValueError or KeyError unless types and shapes fit."""
        found = cls(
            header["form"],
            tuple(header["widths"]),
            tuple(header["points"]),
            arrays["neurons.gate"],
            arrays["neurons.up"],
        )
        shape = (sum(found.widths), len(found.points), bytes_each(len(found.points)))
        fits = all(array.dtype == np.uint8 and array.shape == shape for array in (found.gate_MPB, found.up_MPB))
        if not fits or found.form not in FORMS or header["seed"] != SEED or min(found.widths + found.points) < 1:
            raise ValueError("the signatures of neurons do not fit")
        return found


@dataclass(frozen=True)
class Recorded:
    """The neurons of a model as its fingerprint holds them."""

    name: str
    signatures: Signatures

    @property
    def form(self) -> Form:
        """Which two signals its neurons have."""
        return self.signatures.form

    @property
    def widths(self) -> tuple[int, ...]:
        """Neurons of each layer."""
        return self.signatures.widths

    def blocks(self) -> list[list[int]]:
        """One layer after the other: nothing has to be run."""
        return [[layer] for layer in range(len(self.widths))]

    def read(
        self, layers: Sequence[int], neurons: Sequence[np.ndarray] | None = None, report: Report = silent
    ) -> list[LayerSignals]:
        """The signals of some layers, unpacked."""
        return [self.signatures.layer(at, None if neurons is None else neurons[i]) for i, at in enumerate(layers)]


def bytes_each(passages: int) -> int:
    """Bytes per signal and passage."""
    return max(1, BYTES // passages)


def signs(units_NG: np.ndarray, passage: int, passages: int) -> np.ndarray:
    """The signature of signals in one passage of several, (N, B) uint8; zeros for rows of zeros."""
    bits_NB = np.packbits(units_NG @ projections(units_NG.shape[1], passage, bytes_each(passages)) > 0, axis=1)
    varies_N1 = np.any(units_NG, axis=1, keepdims=True)
    return np.where(varies_N1, bits_NB, np.uint8(0))


@lru_cache(maxsize=8)
def projections(points: int, passage: int, size: int) -> np.ndarray:
    """What the signs of a passage are those of, (G, 8 B) float32 of 1 and -1."""
    stream = shake_256(f"{SEED}, passage {passage}".encode()).digest(points * size)
    bits = np.unpackbits(np.frombuffer(stream, np.uint8)).reshape(points, 8 * size)
    return bits.astype(np.float32) * 2 - 1


def _unpacked(bits_NPB: np.ndarray) -> np.ndarray:
    signs_NPD = np.unpackbits(bits_NPB, axis=2).astype(np.float32) * 2 - 1
    signs_NPD *= np.any(bits_NPB, axis=2, keepdims=True)
    return signs_NPD.reshape(len(bits_NPB), -1) / np.float32(np.sqrt(signs_NPD.shape[1] * signs_NPD.shape[2]))


def differ(a: Signatures, b: Signatures) -> str:
    """Why two models' signatures cannot be compared, as the end of a sentence; empty where they can."""
    if a.form != b.form:
        return "one model's MLPs have a gate and the other's have none, so their neurons have other signals"
    if a.points != b.points:
        return "their neurons were read at other places of text"
    return ""


def joined(layers: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Signatures listed by layer and passage, (N, B) each, as one array (M, P, B)."""
    return np.concatenate([np.stack(list(passages_NB), axis=1) for passages_NB in layers])
