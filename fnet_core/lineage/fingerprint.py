"""The functional network fingerprint: a small file that can be compared without its model.

Source: arXiv 2601.22692, with networks found on one half of the probes and their signals read on the other.
Shape legend: K networks, T tokens of one passage, G grid positions of one passage, L layers, U entries of an upper
triangle.
"""

from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from fnet_core.checks import check_range, check_seed
from fnet_core.choices import RESAMPLES
from fnet_core.drawing import Described
from fnet_core.errors import RequestError
from fnet_core.lineage.fingerprint_check import is_whole
from fnet_core.lineage.signatures import Recorded, Signatures
from fnet_core.storage import artifacts
from fnet_core.storage.memo import Kind
from fnet_core.texts import Passage

KIND = "fingerprint"
FORMAT = 2
"""Format 1 has no signatures of neurons; it is read, and written again as it was."""
TAKEN_BEFORE = "it was taken before FNet kept them; take it again"
LEAST_RESAMPLES, MOST_RESAMPLES = 200, 1_000_000
"""Below it the ends of the interval, 2.5 % of the resamples each, rest on too few of them."""

READS_BELOW = 0.95
"""Share of bzip2's bits per byte below which a model counts as reading the probes.

bzip2 needs 3.26 for the bundled ones, so the bar is at 3.10: SmolLM2-135M needs 1.35 and Gemma 3 270M 1.25, twins of 3
million weights 3.05 after 600 steps of training and 3.19 after 150, SmolLM2's shape with random weights 3.54. The score
tells models apart that have learned something: independent twins score 0.35 after 600 steps and 0.59 after 150."""


@dataclass(frozen=True)
class ModelIdentity:
    """What people want to know of a model without having it."""

    name: str
    digest: str
    family: str
    layers: int
    width: int
    """Neurons of the residual stream."""
    parameters: int
    dtype: str


@dataclass(frozen=True, eq=False, repr=False)
class Fingerprint(Described):
    """Network signals of one model on the probes, its second fingerprints, and what it takes to make it again."""

    model: ModelIdentity
    recipe: dict[str, Any]
    """Everything that decides the result; `recipe["protocol"]` is the part that two fingerprints must share."""
    passages: tuple[Passage, ...]
    """The passages that the signals were read on."""
    signals: tuple[np.ndarray, ...]
    """Per passage, (K, T) float16: the activity of a network's key neurons per token, mean 0 and deviation 1 over the
    passage; all zeros where it does not vary."""
    grids: tuple[np.ndarray, ...]
    """Per passage, (G,) int32: the token that holds at each grid position, the same positions for every model."""
    key_counts_KL: np.ndarray
    """int64: neurons of each network's mask in each layer."""
    labels: tuple[str, ...]
    variance_K: np.ndarray
    """Share, 0 to 1, of the variance of z-scored activity on the passages to find networks on."""
    stability_K: np.ndarray
    """ICASSO's I_q, at most 1."""
    curves_4L: np.ndarray
    """float64: standard deviation of each layer's query, key, value and output weights."""
    grams_LU: np.ndarray
    """float16: each layer's packed Gram matrix at the marks, see `similarity.packed_gram`."""
    bits_per_byte: float | None
    """What the model needs to predict a sample of the probes; None where it could not be measured."""
    compressor_bits_per_byte: float
    """What bzip2 needs for all probes: a model that needs nearly as much does not read their language."""
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0
    neurons: Signatures | None = None
    """What the independence test needs, from the first passages; None where there is none."""
    untested: str = TAKEN_BEFORE
    """Why there is none, as half a sentence."""

    def __len__(self) -> int:
        return len(self.labels)

    def _description(self) -> tuple[str, dict[str, object]]:
        facts = {
            "weights": self.model.digest[:16],
            "networks": f"{len(self)}, {int(self.empty_K.sum())} of them without a key neuron",
            "passages": len(self.passages),
            "independence test": "can be made" if self.neurons else f"cannot be made: {self.untested}",
            "reads them": "yes" if self.reads_probes else "hardly: a verdict will be inconclusive",
        }
        return f"Fingerprint of {self.model.name}", facts

    @property
    def is_old(self) -> bool:
        """Whether it lacks what the independence test needs for no other reason than its age."""
        return self.neurons is None and self.untested == TAKEN_BEFORE

    def recorded(self) -> Recorded:
        """The neurons as the independence test takes them; RequestError where the fingerprint has none."""
        if self.neurons is None:
            raise RequestError(
                f"The fingerprint of {self.model.name} has no signatures of neurons, because {self.untested}."
            )
        return Recorded(self.model.name, self.neurons)

    def called(self, name: str) -> "Fingerprint":
        """The same fingerprint under another name of its model."""
        return replace(self, model=replace(self.model, name=name), recipe=self.recipe | {"model": name})

    @property
    def key(self) -> str:
        """The fingerprint's name in the store."""
        return FINGERPRINTS.key(self.recipe)

    @property
    def span(self) -> int:
        """Characters of the longest stretch that the model read at once; 0 where it read whole passages."""
        return self.recipe.get("span", 0)

    @property
    def protocol(self) -> dict[str, Any]:
        """Probes, grid, site and parameters, which two fingerprints must share to be compared."""
        return self.recipe["protocol"]

    @property
    def protocol_digest(self) -> str:
        """The digest of the protocol."""
        return artifacts.digest(self.protocol)

    @property
    def reads_probes(self) -> bool:
        """False when the model is known to predict the probes hardly better than bzip2 does, see `READS_BELOW`.

        True where `bits_per_byte` is None as well: nothing is known then, and a verdict must not rest on it.
        """
        return self.bits_per_byte is None or self.bits_per_byte < READS_BELOW * self.compressor_bits_per_byte

    @property
    def empty_K(self) -> np.ndarray:
        """bool: networks whose mask holds no neuron."""
        return self.key_counts_KL.sum(axis=1) == 0

    def grid_signals(self, passage: int) -> np.ndarray:
        """The signals of one passage at its grid positions, (K, G) float16."""
        return self.signals[passage][:, self.grids[passage]]

    def content_digest(self) -> str:
        """SHA-256, in hex, of everything the file holds."""
        return _content_digest(*self._parts())

    def _parts(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and header as they are stored, without the digest of both."""
        arrays = {
            "key_counts": self.key_counts_KL,
            "variance": self.variance_K,
            "stability": self.stability_K,
            "curves": self.curves_4L,
            "grams": self.grams_LU,
        }
        for i, (signal, grid) in enumerate(zip(self.signals, self.grids, strict=True)):
            arrays[f"signal.{i}"], arrays[f"grid.{i}"] = signal, grid
        header = {
            "model": vars(self.model),
            "recipe": self.recipe,
            "passages": [[p.name, p.text, p.source] for p in self.passages],
            "labels": list(self.labels),
            "bits_per_byte": self.bits_per_byte,
            "compressor_bits_per_byte": self.compressor_bits_per_byte,
            "seconds": self.seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
        }
        if self.neurons is not None:
            more, header["neurons"] = self.neurons.parts()
            arrays |= more
        elif not self.is_old:
            header["neurons"] = {"untested": self.untested}
        return arrays, header

    def save(self, path: Path) -> None:
        """Write the fingerprint as one safetensors file, whole or not at all; RequestError if the disk refuses."""
        arrays, header = self._parts()
        header_and_digest = header | {"content": _content_digest(arrays, header)}
        artifacts.save_artifact(path, KIND, arrays, header_and_digest, 1 if self.is_old else FORMAT)

    @classmethod
    def load(cls, path: Path) -> "Fingerprint":
        """Read a saved fingerprint.

        RequestError when it is missing, damaged, of another format, was changed after it was made, or does not keep to
        the protocol it names. The digest in the file shows damage and careless edits; it is no signature, and who
        forges a file can make it fit.
        """
        found = artifacts.read_header(path)["format"]
        arrays, header = artifacts.load_artifact(path, KIND, 1 if found == 1 else FORMAT)
        content = header.pop("content", None)
        try:
            unchanged = content == _content_digest(arrays, header)
            if unchanged and is_whole(arrays, header) and ("neurons" in header) == (found == FORMAT):
                return cls._from_parts(arrays, header)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError):
            unchanged = True
        if not unchanged:
            raise RequestError(
                f"{path} was changed after it was made: its content does not fit its digest; ask for the original or "
                "make it again with: python -m fnet_core fingerprint MODEL --out F."
            )
        raise RequestError(f"{path} is no whole fingerprint: parts are missing or do not fit; make it again.")

    @classmethod
    def _from_parts(cls, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> "Fingerprint":
        passages = tuple(Passage(*fields) for fields in header["passages"])
        neurons = header.get("neurons", {"untested": TAKEN_BEFORE})
        untested = neurons.get("untested", "")
        return cls(
            model=ModelIdentity(**header["model"]),
            recipe=header["recipe"],
            passages=passages,
            signals=tuple(arrays[f"signal.{i}"] for i in range(len(passages))),
            grids=tuple(arrays[f"grid.{i}"] for i in range(len(passages))),
            key_counts_KL=arrays["key_counts"],
            labels=tuple(header["labels"]),
            variance_K=arrays["variance"],
            stability_K=arrays["stability"],
            curves_4L=arrays["curves"],
            grams_LU=arrays["grams"],
            bits_per_byte=header["bits_per_byte"],
            compressor_bits_per_byte=header["compressor_bits_per_byte"],
            seconds=header["seconds"],
            peak_memory_bytes=header["peak_memory_bytes"],
            neurons=None if untested else Signatures.from_parts(arrays, neurons),
            untested=untested,
        )

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line, without the artifact's path."""
        return {
            "model": vars(self.model),
            "protocol": self.protocol,
            "protocol_digest": self.protocol_digest,
            "seed": self.recipe["seed"],
            "networks": len(self),
            "empty_networks": int(self.empty_K.sum()),
            "passages": len(self.passages),
            "tokens": sum(signal.shape[1] for signal in self.signals),
            "span": self.span or None,
            "independence_test": self.neurons is not None,
            "untested": self.untested or None,
            "bits_per_byte": self.bits_per_byte,
            "reads_probes": None if self.bits_per_byte is None else self.reads_probes,
            "seconds": self.seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
        }


FINGERPRINTS = Kind(KIND, Fingerprint.load, FORMAT, keyed_since=FORMAT, names=frozenset({"model"}))
"""Fingerprints in the store; those of format 1 have the same keys, for they answer what asks for no test."""


def _content_digest(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> str:
    running = sha256(artifacts.digest(header).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        running.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        running.update(array.tobytes())
    return running.hexdigest()


_PROTOCOL_WORDS = {
    "site": "site",
    "components": "components",
    "threshold": "threshold",
    "signal": "signal",
    "step": "grid step",
    "find": "passages to find networks on",
    "score": "passages to score on",
}


def check_comparable(a: Fingerprint, b: Fingerprint) -> None:
    """RequestError, with the way out, unless both were made with the same probes and parameters."""
    check_protocols(a.model.name, a.protocol, b.model.name, b.protocol)
    if [p.text for p in a.passages] != [p.text for p in b.passages]:
        raise _incomparable(a.model.name, b.model.name, [_PROTOCOL_WORDS["score"]])
    if a.grams_LU.shape[1] != b.grams_LU.shape[1]:
        raise _incomparable(a.model.name, b.model.name, ["places where layers are compared"])


def check_protocols(a: str, a_protocol: dict[str, Any], b: str, b_protocol: dict[str, Any]) -> None:
    """`check_comparable` for two names with their protocols, before a fingerprint is taken."""
    differing = [name for name in a_protocol.keys() | b_protocol.keys() if a_protocol.get(name) != b_protocol.get(name)]
    if differing:
        words = [label for name, label in _PROTOCOL_WORDS.items() if name in differing] or ["version of the method"]
        raise _incomparable(a, b, words)


def _incomparable(a: str, b: str, words: list[str]) -> RequestError:
    return RequestError(
        f"The fingerprints of {a} and {b} cannot be compared, because they differ in: {', '.join(words)}; make both "
        "again the same way with: python -m fnet_core fingerprint MODEL --out F."
    )


def check_options(seed: int, resamples: int) -> None:
    """RequestError for a seed or a number of resamples that `compare` refuses."""
    check_seed(seed)
    remedy = f"choose {LEAST_RESAMPLES} to {MOST_RESAMPLES:,}, such as {RESAMPLES}"
    check_range(resamples, LEAST_RESAMPLES, MOST_RESAMPLES, f"{resamples} resamples are", remedy)
