"""What an audit costs as models and fingerprints grow: seconds per pair, nearest of many, and where it all goes.

Fingerprints are made up: families of a parent and children whose networks and neurons are the parent's with noise, so
that scores lie where real ones do (a parent and its child about 0.75, two children 0.6, strangers 0.2).

Seconds are processor seconds of one thread, which other work on the machine disturbs least.

python -m benchmarks.scaling [--count 1000] [--part pairs | nearest | folder] [--index faiss]
"""

import argparse
import json
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from time import process_time

import numpy as np

from fnet_core import texts
from fnet_core.choices import SAMPLED_NEURONS
from fnet_core.lineage.cka import packed_gram
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.fingerprint import Fingerprint, ModelIdentity
from fnet_core.lineage.grid import grid_positions, points_of
from fnet_core.lineage.independence import layer_z
from fnet_core.lineage.index import INDICES, known_in
from fnet_core.lineage.nearest import Vectors, vector_of
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.lineage.signatures import LayerSignals, Signatures
from fnet_core.storage import artifacts, memo

NETWORKS = 64
DISTINCT = 100
"""Files of a folder that differ."""
SHARED, OWN, NOISE = 0.55, 1.0, 0.95
"""Weights of what all models share, of what a family has, and of what a child adds."""
SIZES = {"135M": (30, 1536), "7B": (32, 11_008), "70B": (80, 28_672), "405B": (126, 53_248)}
"""Layers and MLP neurons of a layer."""
PROBES = texts.bundled("score")
REQUEST = FingerprintRequest("")
POINTS = [len(grid_positions(len(passage.text))) for passage in PROBES]


def walks(rng: np.random.Generator) -> list[np.ndarray]:
    """(K, G) series of each passage, neighbours alike, in their own standard deviations."""
    found = []
    for points in POINTS:
        series_KG = rng.normal(size=(NETWORKS, points)).astype(np.float32)
        smooth_KG = series_KG + 0.8 * np.roll(series_KG, 1, axis=1) + 0.5 * np.roll(series_KG, 2, axis=1)
        found.append(smooth_KG / smooth_KG.std(axis=1, keepdims=True))
    return found


COMMON = walks(np.random.default_rng(10**6))


@lru_cache(maxsize=2)
def own_walks(family: int) -> list[np.ndarray]:
    """What the members of a family have in common."""
    return walks(np.random.default_rng((family, 10**6)))


def made_up(name: str, family: int, child: int, layers: int = 2, width: int = 64) -> Fingerprint:
    """A fingerprint of a family's parent (child 0) or of one of its children."""
    rng = np.random.default_rng((family, child))
    order, kept = rng.permutation(NETWORKS), np.random.default_rng((family, 0)).permutation(NETWORKS)
    own, noise = own_walks(family), walks(rng)
    signals = []
    for common, family_KG, noise_KG in zip(COMMON, own, noise, strict=True):
        series_KG = (SHARED * common[kept] + OWN * family_KG + (NOISE if child else 0.0) * noise_KG)[order]
        signals.append(((series_KG - series_KG.mean(1, keepdims=True)) / series_KG.std(1, keepdims=True)).astype("f2"))
    bits = np.random.default_rng((family, 2)).integers(0, 256, (2, layers * width, 4, 16), dtype=np.uint8)
    flips = rng.random(bits.shape) < (0.2 if child else 0.0)
    gate, up = np.where(flips, rng.integers(0, 256, bits.shape, dtype=np.uint8), bits)
    return Fingerprint(
        model=ModelIdentity(name, name, "llama", layers, 576, layers * width, "float32"),
        recipe={
            "model": name,
            "model_digest": name,
            "protocol": REQUEST.protocol(),
            "seed": 0,
            "texts": [["bundled/find"], ["bundled/score"]],
            "versions": {"made": "up"},
        },
        passages=PROBES,
        signals=tuple(signals),
        grids=tuple(np.arange(points, dtype=np.int32) for points in POINTS),
        key_counts_KL=np.ones((NETWORKS, layers), np.int64),
        labels=tuple(map(str, range(NETWORKS))),
        variance_K=np.full(NETWORKS, 0.01, np.float32),
        stability_K=np.ones(NETWORKS, np.float32),
        curves_4L=rng.uniform(0.01, 0.02, (4, layers)),
        grams_LU=np.stack([packed_gram(rng.normal(size=(48, 16))) for _ in range(layers)]).astype(np.float16),
        bits_per_byte=1.3,
        compressor_bits_per_byte=3.2,
        neurons=Signatures("gated", (width,) * layers, tuple(map(len, points_of(PROBES[:4]))), gate, up),
        untested="",
    )


def seconds_of(work: Callable[[], object], rounds: int) -> float:
    """The least processor time of some rounds."""
    taken = []
    for _ in range(rounds):
        start = process_time()
        work()
        taken.append(process_time() - start)
    return min(taken)


def scores() -> dict[str, list[float]]:
    """What made-up pairs score, to hold against real ones."""
    parent, one, two, other = (made_up(f"{f}-{c}", f, c) for f, c in ((0, 0), (0, 1), (0, 2), (1, 0)))
    pairs = {"parent, child": (parent, one), "two children": (one, two), "strangers": (parent, other)}
    return {name: round(compare(*pair, test=False).score, 3) for name, pair in pairs.items()}


def pair_costs(rounds: int) -> dict[str, float | int]:
    """Seconds of a pair from memory: networks alone, and neurons of one pair of layers at each width."""
    a, b = made_up("a", 0, 0), made_up("b", 0, 1)
    compare(a, b, test=False)
    found: dict[str, float | int] = {"networks": seconds_of(lambda: compare(a, b, test=False), rounds)}
    rng = np.random.default_rng(0)
    for name, (_, width) in SIZES.items():
        signals = Signatures(
            "gated", (width,), (1,) * 4, *rng.integers(0, 256, (2, width, 4, 16), dtype=np.uint8)
        ).layer(0)
        own = LayerSignals(signals.gate_NG[:SAMPLED_NEURONS], signals.up_NG[:SAMPLED_NEURONS])
        order = np.random.default_rng(1)
        found[f"layer pair {name}"] = seconds_of(lambda own=own, s=signals, o=order: layer_z(own, s, o), rounds)
    return found


def file_bytes(layers: int, width: int) -> int:
    """Of a fingerprint file: signals of networks and of neurons, and the layers' Gram matrices."""
    return 2 * NETWORKS * sum(POINTS) * 2 + 128 * layers * width + 2 * layers * 200 * 201 // 2


def vectors(count: int, children: int) -> Iterator[tuple[int, np.ndarray]]:
    """The family and the vector of each of so many made-up fingerprints."""
    for number in range(count):
        family, child = divmod(number, children + 1)
        yield family, vector_of(made_up(str(number), family, child))


def nearest(count: int, children: int, index: str | None) -> dict[str, float | int]:
    """Of each made-up fingerprint its relatives among all: recall, seconds, memory."""
    start = process_time()
    found = list(vectors(count, children))
    making = process_time() - start
    families = np.array([family for family, _ in found])
    all_FD = np.stack([vector for _, vector in found])
    known = Vectors.of([str(number) for number in range(count)], all_FD)
    start = process_time()
    at, _ = known.nearest(all_FD, children + 11)
    searching = process_time() - start
    result = {
        "fingerprints": count,
        "seconds_each_made_and_reduced": making / count,
        "all_against_all_seconds": searching,
        "recall_at_family_size": _recall(at[:, : children + 1], families),
        "recall_at_10_more": _recall(at, families),
        "vector_bytes": all_FD.nbytes // count,
    }
    if index:
        result |= _indexed(known, families, children)
    return result


def folder_scan(count: int, children: int) -> dict[str, float | int]:
    """A folder of so many files: what reading one costs, and a scan once all are in the index.

    Beyond `DISTINCT` they are further names of the first ones, and stand in the index without having been read.
    """
    with tempfile.TemporaryDirectory() as place, patched_home(place):
        folder = Path(place) / "known"
        folder.mkdir()
        some = [folder / f"{number:07}.safetensors" for number in range(min(count, DISTINCT))]
        for number, path in enumerate(some):
            made_up(path.stem, *divmod(number, children + 1)).save(path)
        result: dict[str, float | int] = {"file_MB": some[0].stat().st_size / 1e6}
        result["read_seconds_each"] = seconds_of(lambda: [Fingerprint.load(path) for path in some], 1) / len(some)
        result["read_and_reduce_seconds_each"] = seconds_of(lambda: known_in(folder, vectors=True), 1) / len(some)
        for number in range(len(some), count):
            os.link(some[number % len(some)], folder / f"{number:07}.safetensors")
        _spread_index(folder, count)
        result |= {"files": count, "indexed_seconds": seconds_of(lambda: known_in(folder, vectors=True), 3)}
        found = known_in(folder, vectors=True)
        assert len(found.subjects) == count
        vectors_FD = np.stack([subject.vector_D for subject in found.subjects if subject.vector_D is not None])
        labels = [subject.label for subject in found.subjects]
        result["query_seconds"] = seconds_of(lambda: Vectors.of(labels, vectors_FD).nearest(vectors_FD[:1], 20), 3)
        result["index_MB"] = artifacts.list_artifacts(INDICES.name)[0].stat().st_size / 1e6
    return result


def _spread_index(folder: Path, count: int) -> None:
    """Put every file of a folder into its index by the line of the file that it is another name of."""
    (path,) = artifacts.list_artifacts(INDICES.name)
    index = INDICES.load(path)
    at = [number % len(index.lines) for number in range(count)]
    names = [f"{number:07}.safetensors" for number in range(count)]
    lines = tuple(
        replace(index.lines[place], name=name, identity=artifacts.digest(artifacts.identity(folder / name)))
        for place, name in zip(at, names, strict=True)
    )
    memo.keep(
        INDICES, index.recipe, replace(index, lines=lines, vectors_FD=index.vectors_FD[at], known_F=index.known_F[at])
    )


@contextmanager
def patched_home(place: str) -> Iterator[None]:
    """A cache folder of its own."""
    before = os.environ.get("FNET_HOME")
    os.environ["FNET_HOME"] = str(Path(place) / "home")
    try:
        yield
    finally:
        os.environ.pop("FNET_HOME")
        if before is not None:
            os.environ["FNET_HOME"] = before


def _recall(at_QC: np.ndarray, families_F: np.ndarray) -> float:
    """The share of relatives that are among the nearest, the fingerprint itself left out."""
    hits = wanted = 0
    for query, row in enumerate(at_QC):
        kin = set(np.flatnonzero(families_F == families_F[query]).tolist()) - {query}
        hits += len(kin & set(row.tolist()))
        wanted += len(kin)
    return hits / wanted


def _indexed(known: Vectors, families_F: np.ndarray, children: int) -> dict[str, float | int]:
    """The same by a graph of neighbours (HNSW), which finds them in a time that hardly grows with their number."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(known.units_FD.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = 200, 100
    start = process_time()
    index.add(known.units_FD)
    building = process_time() - start
    start = process_time()
    _, at = index.search(known.units_FD, children + 11)
    asking = process_time() - start
    return {
        "hnsw_build_seconds": building,
        "hnsw_seconds_per_query": asking / len(known.names),
        "hnsw_recall_at_10_more": _recall(at, families_F),
    }


def table(pair: dict[str, float | int], each: float) -> list[dict[str, object]]:
    """Extrapolated from the costs of one pair: two models of a size, and audits and scans of many."""
    rows = []
    for name, (layers, width) in SIZES.items():
        seconds = pair["networks"] + layers * layers * pair[f"layer pair {name}"]
        rows.append(
            {
                "models": name,
                "file_MB": round(file_bytes(layers, width) / 1e6, 1),
                "seconds_per_pair": round(seconds, 2),
                "scan_of_100_minutes": round(100 * seconds / 60, 1),
                "audit_of_100_hours": round(4950 * seconds / 3600, 2),
            }
        )
    for count in (100, 10_000, 1_000_000):
        rows.append(
            {
                "fingerprints": count,
                "vectors_MB": round(count * 4096 / 1e6, 1),
                "reduce_hours": round(count * each / 3600, 3),
                "all_pairs_networks_days": round(count * (count - 1) / 2 * pair["networks"] / 86400, 3),
            }
        )
    return rows


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--children", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=["pairs", "nearest", "folder", "both"], default="both")
    parser.add_argument("--index", choices=["faiss"], help="also by an index of faiss-cpu")
    options = parser.parse_args()
    one = made_up("one", 0, 0)
    reducing = seconds_of(lambda: vector_of(one), options.rounds)
    result: dict[str, object] = {"vector_processor_seconds": round(reducing, 4)}
    if options.part in ("pairs", "both"):
        pair = pair_costs(options.rounds)
        result |= {
            "made_up_scores": scores(),
            "processor_seconds": {name: round(value, 4) for name, value in pair.items()},
            "extrapolated": table(pair, reducing),
        }
    if options.part in ("nearest", "both"):
        many = nearest(options.count, options.children, options.index)
        result["nearest"] = {name: round(value, 5) for name, value in many.items()}
    if options.part == "folder":
        result["folder"] = {
            name: round(value, 5) for name, value in folder_scan(options.count, options.children).items()
        }
    result["peak_memory_MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
