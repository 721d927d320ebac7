"""Fingerprints made by hand: signals one can count with, and reference pairs to hold them against."""

import json
from dataclasses import replace
from hashlib import sha256

import numpy as np

from fnet_core.lineage.cka import packed_gram
from fnet_core.lineage.fingerprint import Fingerprint, ModelIdentity
from fnet_core.lineage.signatures import Signatures
from fnet_core.lineage.verdict import Evidence, Reference, ReferencePair
from fnet_core.texts import Passage

LENGTHS = (160, 200, 184, 172, 168)
"""Characters of the five passages."""


def hand_fingerprint(
    signals, name: str = "model", digest: str = "", layers: int = 4, seed: int = 0, **changes
) -> Fingerprint:
    """A fingerprint with these (K, T) signals, one per passage, whose tokens share each passage's characters evenly."""
    rng = np.random.default_rng(seed)
    networks = len(signals[0])
    grids = []
    for length, signal in zip(LENGTHS, signals, strict=False):
        grids.append((np.arange(0, length, 4) * signal.shape[1] // length).astype(np.int32))
    passages = tuple(
        Passage(f"p{i}", ("some text & <more>. " * 20)[:length], "test")
        for i, length in enumerate(LENGTHS[: len(signals)])
    )
    protocol = {
        "step": 4,
        "site": "residual",
        "components": networks,
        "threshold": 3.6,
        "signal": "weighted",
        "find": "f",
        "score": sha256(json.dumps([p.text for p in passages], separators=(",", ":")).encode()).hexdigest(),
        "passages": [24, len(passages)],
    }
    fields = {
        "model": ModelIdentity(name, digest or name, "llama", layers, 24, 12_345, "float32"),
        "recipe": {
            "model": name,
            "model_digest": digest or name,
            "protocol": protocol,
            "seed": seed,
            "texts": [["bundled/find"], ["bundled/score"]],
            "versions": {"torch": "2"},
        },
        "passages": passages,
        "signals": tuple(np.asarray(s, dtype=np.float16) for s in signals),
        "grids": tuple(grids),
        "key_counts_KL": rng.integers(1, 9, (networks, layers)),
        "labels": tuple(f"{name} <b>{k}</b>" for k in range(networks)),
        "variance_K": rng.uniform(0, 0.1, networks).astype(np.float32),
        "stability_K": rng.uniform(0.5, 1, networks).astype(np.float32),
        "curves_4L": rng.uniform(0.01, 0.02, (4, layers)),
        "grams_LU": np.stack([packed_gram(rng.normal(size=(9, 5))) for _ in range(layers)]).astype(np.float16),
        "bits_per_byte": 1.2,
        "compressor_bits_per_byte": 3.2,
        "seconds": {"scoring": 1.5},
        "peak_memory_bytes": 1234,
    }
    return Fingerprint(**fields | changes)


def with_neurons(side: Fingerprint, seed: int = 0) -> Fingerprint:
    """The fingerprint with signatures of neurons drawn by a seed, on its first two passages."""
    layers = side.model.layers
    rng = np.random.default_rng(seed)
    points = tuple(len(range(0, length, 4)) for length in LENGTHS[:2])
    gate, up = rng.integers(1, 256, (2, layers * 64, 2, 32), dtype=np.uint8)
    return replace(side, neurons=Signatures("gated", (64,) * layers, points, gate, up), untested="")


def waves(networks: int, tokens: tuple[int, ...] = (40, 50, 46, 43, 42), seed: int = 0) -> list[np.ndarray]:
    """Random (K, T) series of each passage, with neighbours alike as activations are."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(networks, t)).cumsum(axis=1) + 3 * rng.normal(size=(networks, t)) for t in tokens]


def mixed(signals, own: float, seed: int) -> list[np.ndarray]:
    """Series that share part of these: the shuffled rows plus noise of `own` deviations."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(signals[0]))
    return [s[order] + own * s.std() * rng.normal(size=s.shape) for s in signals]


def hand_reference(protocol: str, derived=(0.6, 0.75, 0.9), independent=(0.1, 0.2, 0.3)) -> Reference:
    """Reference pairs with these scores."""
    near = [
        ReferencePair("base", f"copy {s}", "derived", "made", s, (s - 0.01, s + 0.01), 1.0, 0.9, True) for s in derived
    ]
    far = [ReferencePair("base", f"other {s}", "independent", "apart", s, None, 0.2, None, True) for s in independent]
    return Reference("python -m measure", protocol, "once, on paper", (*near, *far))


SURE = Evidence(
    a="Alpha",
    b="Beta",
    protocol="p1",
    score=0.7,
    interval=(0.66, 0.74),
    null=0.1,
    usable=(60, 58),
    components=64,
    passages=24,
    unreadable=(),
    unmeasured=(),
    same_model=False,
    weight_curves=0.9,
    cka=0.95,
)
"""What is known of a pair whose every figure is beyond doubt."""
