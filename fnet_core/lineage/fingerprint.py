"""The functional network fingerprint: a small file that can be compared without its model.

Source: arXiv 2601.22692, with networks found on one half of the probes and their signals read on the other.
Shape legend: K networks, T tokens of one passage, G grid positions of one passage, L layers, U entries of an upper
triangle.
"""

from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fnet_core import texts
from fnet_core.drawing import Described
from fnet_core.errors import RequestError
from fnet_core.lineage.fingerprint_check import is_whole
from fnet_core.lineage.probes import hidden
from fnet_core.lineage.signatures import Recorded, Signatures
from fnet_core.lineage.signing import Signature, sign
from fnet_core.storage import artifacts
from fnet_core.storage.memo import Kind
from fnet_core.texts import Passage

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KIND = "fingerprint"
FORMAT = 3
"""The newest. Format 1 has no signatures of neurons, format 2 neither secret probes nor a signature of an owner; both
are read, and what has none of the newer things is written as the older format."""
TAKEN_BEFORE = "it was taken before FNet kept them; take it again"
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
    surfaces: tuple[np.ndarray, ...] = ()
    """Of secret probes, per passage: the directions of the text's surface at its grid positions, (G, D) float16."""
    signature: Signature | None = None

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
        """The same fingerprint under another name of its model, which nobody has signed."""
        named = replace(self.model, name=name)
        return replace(self, model=named, recipe=self.recipe | {"model": name}, signature=None)

    def hidden(self, surfaces: tuple[np.ndarray, ...]) -> "Fingerprint":
        """The same without the words of its probes, which are secret."""
        return replace(
            self,
            passages=hidden(self.passages),
            labels=tuple(f"network {number}" for number in range(len(self))),
            surfaces=tuple(directions_GD.astype(np.float16) for directions_GD in surfaces),
        )

    def signed(self, key: "Ed25519PrivateKey") -> "Fingerprint":
        """The same with a signature of its content and the present time."""
        return replace(self, signature=sign(self.content_digest(), key))

    @property
    def is_secret(self) -> bool:
        """Whether its probes are secret, see `probes`."""
        return "secret" in self.protocol

    @property
    def signed_sentence(self) -> str:
        """Who signed it, or that nobody did."""
        return self.signature.sentence if self.signature else "not signed"

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
    def reference_digest(self) -> str:
        """The protocol under which reference pairs are looked up: that of as many public probes, if these are secret.

        A secret cannot be measured on known pairs beforehand, and other passages of the same kind move a score little.
        """
        if not self.is_secret or self.protocol["passages"] != [len(texts.bundled(s)) for s in ("find", "score")]:
            return self.protocol_digest
        public = {split: artifacts.digest([p.text for p in texts.bundled(split)]) for split in ("find", "score")}
        return artifacts.digest({name: value for name, value in (self.protocol | public).items() if name != "secret"})

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

    def surface(self) -> tuple[np.ndarray, ...]:
        """Orthonormal directions of the text's surface in each passage, (G, D) float64, from the text or as kept."""
        from fnet_core.lineage.surface import surface_directions  # here, so that a file is refused without scipy

        if not self.is_secret:
            return surface_directions(tuple(passage.text for passage in self.passages))
        kept = [directions_GD.astype(np.float64) for directions_GD in self.surfaces]
        return tuple(np.linalg.qr(directions_GD - directions_GD.mean(axis=0))[0] for directions_GD in kept)

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
        arrays |= {f"surface.{i}": directions_GD for i, directions_GD in enumerate(self.surfaces)}
        if self.neurons is not None:
            more, header["neurons"] = self.neurons.parts()
            arrays |= more
        elif not self.is_old:
            header["neurons"] = {"untested": self.untested}
        return arrays, header

    def save(self, path: Path) -> None:
        """Write the fingerprint as one safetensors file, whole or not at all.

        RequestError if the disk refuses, and for a signature of another content than this.
        """
        arrays, header = self._parts()
        content = _content_digest(arrays, header)
        written = header | {"content": content}
        if self.signature:
            if not self.signature.holds(content):
                raise RequestError(_broken(path, self.signature))
            written["signature"] = vars(self.signature)
        newest = self.is_secret or self.signature is not None
        artifacts.save_artifact(path, KIND, arrays, written, FORMAT if newest else 1 if self.is_old else 2)

    @classmethod
    def load(cls, path: Path) -> "Fingerprint":
        """Read a saved fingerprint.

        RequestError when it is missing, damaged, of another format, was changed after it was made, does not keep to the
        protocol it names, or bears a signature that is not of its content. The digest in the file shows damage and
        careless edits, and who forges a file can make it fit; they cannot make another's signature.
        """
        found = artifacts.read_header(path)["format"]
        arrays, header = artifacts.load_artifact(path, KIND, found if found in (1, 2) else FORMAT)
        content, signed = header.pop("content", None), header.pop("signature", None)
        try:
            unchanged = content == _content_digest(arrays, header)
            if unchanged and is_whole(arrays, header) and _format_holds(found, header, signed is not None):
                taken = cls._from_parts(arrays, header)
                if signed is None:
                    return taken
                signature = Signature.from_header(signed)
                if signature.holds(content):
                    return replace(taken, signature=signature)
                raise RequestError(_broken(path, signature))
        except RequestError:
            raise
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
            surfaces=artifacts.series(arrays, "surface"),
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
            "secret_probes": self.is_secret,
            "signature": self.signature and {"key": self.signature.signer, "made": self.signature.made},
            "bits_per_byte": self.bits_per_byte,
            "reads_probes": None if self.bits_per_byte is None else self.reads_probes,
            "seconds": self.seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
        }


def _format_holds(found: int, header: dict[str, Any], signed: bool) -> bool:
    """Whether what is there is what its format has; the newest is for files with a secret or a signature."""
    newer = signed or "secret" in header["recipe"]["protocol"]
    return newer if found == FORMAT else not newer and ("neurons" in header) == (found == 2)


def _broken(path: Path, signature: Signature) -> str:
    return (
        f"The signature of {path} is broken: the key {signature.signer} did not sign this content; ask its owner for "
        "the original, and do not trust this one."
    )


FINGERPRINTS = Kind(
    KIND, Fingerprint.load, FORMAT, keyed_since=FORMAT, names=frozenset({"model", "atlas_texts_digest"})
)
"""Fingerprints in the store; those of format 1 have the same keys, for they answer what asks for no test."""


def _content_digest(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> str:
    running = sha256(artifacts.digest(header).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        running.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        running.update(array.tobytes())
    return running.hexdigest()
