"""Known pairs of models: fingerprints, scores, verdicts, and the reference distribution that verdicts rest on.

    python -m benchmarks.twins --text wiki.test.raw --out DIR --seeds 1 2 --steps 600
    python -m benchmarks.twins --text wiki.test.raw --out DIR --seeds 3 4 --steps 150
    python -m benchmarks.lineage --twins DIR --work DIR [--out assets/reference_pairs.json]

Derived models are made from the starters and the first twin,
fingerprinted and deleted again; fingerprints stay in `--work`, and a second run goes on where the first stopped. Every
pair is judged by the other pairs. Fine-tuning reads source code of Python's standard library.
"""

import argparse
import inspect
import shutil
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from time import perf_counter

import torch
from sklearn.metrics import roc_auc_score
from transformers import AutoModelForCausalLM

from fnet_core.derivation.derive import derive
from fnet_core.derivation.training import Training
from fnet_core.lineage.comparison import Comparison, compare
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.reference import REFERENCE_FILE, Reference, ReferencePair
from fnet_core.lineage.taking import FingerprintRequest, find_fingerprint
from fnet_core.models import loading as models
from fnet_core.models.saving import saving_model

CODE = inspect.getsourcefile(argparse)
"""A long module of the standard library, read as text."""

_MERGED_WITH = "twin fine-tuned"
"""The derived model that is kept, because another is merged with it."""


@dataclass(frozen=True)
class Member:
    """One model of the table: its parent and the way it is made, or neither for an original."""

    name: str
    parent: str = ""
    how: str = ""
    steps: int = 0


def members() -> tuple[Member, ...]:
    """Every model before what is derived from it."""
    large, other, twin = "smollm2-135m", "gemma3-270m", "twin-1"
    return (
        Member(large),
        Member(other),
        Member(twin),
        Member("random weights", large, "random"),
        Member(_MERGED_WITH, twin, f"finetune:{CODE}", 150),
        Member("twin LoRA", twin, f"lora:{CODE}", 150),
        Member("twin noise", twin, "noise:0.1"),
        Member("twin 3 bits", twin, "quantise:3"),
        Member("twin pruned", twin, "prune:0.3"),
        Member("twin layer dropped", twin, "drop-layers:1"),
        Member("twin merged", twin, f"merge:{_MERGED_WITH}"),
        Member("noise", large, "noise:0.1"),
        Member("4 bits", large, "quantise:4"),
        Member("3 bits", large, "quantise:3"),
        Member("pruned", large, "prune:0.3"),
        Member("layers dropped", large, "drop-layers:4"),
        Member("permuted", large, "permute-residual"),
        Member("rescaled", large, "rescale:2"),
        Member("fine-tuned", large, f"finetune:{CODE}", 30),
        Member("gemma noise", other, "noise:0.1"),
        Member("gemma pruned", other, "prune:0.2"),
        Member("twin-2"),
        Member("twin-3"),
        Member("twin-4"),
    )


def pairs(known: dict[str, Member]) -> Iterator[tuple[str, str, str]]:
    """(a, b, how) of every derived pair, then of every independent one."""
    for member in known.values():
        if member.parent and member.how != "random":
            yield member.parent, member.name, member.how.partition(":")[0]
    yield "twin LoRA", _MERGED_WITH, "siblings"
    yield "noise", "fine-tuned", "siblings"
    for a, b in (
        ("twin-1", "twin-2"),
        ("twin-1", "twin-3"),
        ("twin-2", "twin-3"),
        ("twin-3", "twin-4"),
        ("twin fine-tuned", "twin-2"),
        ("smollm2-135m", "gemma3-270m"),
        ("fine-tuned", "gemma3-270m"),
        ("pruned", "gemma noise"),
        ("smollm2-135m", "twin-1"),
        ("gemma3-270m", "twin-2"),
        ("smollm2-135m", "random weights"),
        ("gemma3-270m", "random weights"),
    ):
        yield a, b, "independent"


def fingerprint_of(member: Member, folders: dict[str, Path], work: Path) -> Fingerprint:
    """The member's fingerprint from the working folder, or made now; a derived model is deleted afterwards."""
    path = work / f"{member.name.replace(' ', '-')}.safetensors"
    kept = work / "models" / member.name.replace(" ", "-")
    if path.exists() and (member.name != _MERGED_WITH or kept.exists()):
        return Fingerprint.load(path)
    began = perf_counter()
    folder = None
    if member.how:
        folder = work / "models" / member.name.replace(" ", "-")
        if not folder.exists():
            _make(member, folder, folders)
        folders[member.name] = folder
    source = str(folders.get(member.name, member.name))
    found = find_fingerprint(FingerprintRequest(model=source), accept_licence=True).answer
    found = replace(found, model=replace(found.model, name=member.name))
    found.save(path)
    models.release_loaded()
    if folder and member.name != _MERGED_WITH:
        shutil.rmtree(folder)
    print(f"{member.name}: {perf_counter() - began:.0f} s, {path.stat().st_size / 1e6:.1f} MB", flush=True)
    return found


def _make(member: Member, folder: Path, folders: dict[str, Path]) -> None:
    parent = str(folders.get(member.parent, member.parent))
    folder.parent.mkdir(parents=True, exist_ok=True)
    if member.how == "random":
        loaded = models.load(parent, accept_licence=True)
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(loaded.model.config)
        with saving_model(model, loaded.tokenizer, folder):
            return
    how = member.how
    if how.startswith("merge:"):
        how = f"merge:{folders[how.removeprefix('merge:')]}"
    training = Training(steps=member.steps) if member.steps else None
    derive(parent, how, folder, seed=1, training=training, accept_licence=True)


def measured(a: Fingerprint, b: Fingerprint, how: str) -> ReferencePair:
    """A pair as it stands in the reference file."""
    found = compare(a, b, reference=Reference("", "", "", ()), test=False)
    kind = "independent" if how == "independent" else "derived"
    return ReferencePair(
        a.model.name,
        b.model.name,
        kind,
        how,
        found.score,
        found.interval,
        found.curves.mean,
        found.layers.middle,
        a.reads_probes and b.reads_probes,
    )


def judged(prints: dict[str, Fingerprint], reference: Reference, index: int) -> Comparison:
    """The pair compared against all the other pairs."""
    pair = reference.pairs[index]
    return compare(prints[pair.a], prints[pair.b], reference=reference.without(index))


def first_probes(fingerprint: Fingerprint, count: int) -> Fingerprint:
    """The fingerprint on its first passages alone."""
    return replace(
        fingerprint,
        passages=fingerprint.passages[:count],
        signals=fingerprint.signals[:count],
        grids=fingerprint.grids[:count],
    )


def main() -> None:
    """Fingerprint the members, compare the pairs, print the tables, write the reference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--twins", required=True, type=Path, help="folder with twin-1 to twin-4")
    parser.add_argument("--work", required=True, type=Path, help="folder for fingerprints and passing models")
    parser.add_argument("--out", type=Path, default=REFERENCE_FILE, help="where to write the reference")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    known = {member.name: member for member in members()}
    folders = {name: options.twins / name for name in known if name.startswith("twin-")}
    if (kept := options.work / "models" / _MERGED_WITH.replace(" ", "-")).exists():
        folders[_MERGED_WITH] = kept
    prints = {name: fingerprint_of(member, folders, options.work) for name, member in known.items()}
    listed = tuple(measured(prints[a], prints[b], how) for a, b, how in pairs(known))
    protocol = prints["smollm2-135m"].protocol_digest
    measured_on = f"{date.today().isoformat()}, {len(prints)} models, float32"
    reference = Reference("python -m benchmarks.lineage --twins DIR --work DIR", protocol, measured_on, listed)
    _print_pairs(prints, reference)
    _print_probes(prints, reference)
    reference.save(options.out)
    print(f"written: {len(listed)} pairs")


def reading(pairs_: tuple[ReferencePair, ...]) -> tuple[ReferencePair, ...]:
    """Pairs of which both models read the probes."""
    return tuple(pair for pair in pairs_ if pair.reads)


def gap(pairs_: tuple[ReferencePair, ...]) -> float:
    """Lowest derived less highest independent score."""
    scores = {kind: [pair.score for pair in pairs_ if pair.kind == kind] for kind in ("derived", "independent")}
    return min(scores["derived"]) - max(scores["independent"])


def _print_pairs(prints: dict[str, Fingerprint], reference: Reference) -> None:
    columns = ("a", "b", "how", "score", "interval", "p, trained apart", "verdict")
    columns += ("plain score", "null", "weight curves", "CKA middle")
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    plain = []
    for index, pair in enumerate(reference.pairs):
        found = judged(prints, reference, index)
        low, high = found.interval or (float("nan"),) * 2
        opinions = " | ".join("none" if v is None else f"{v:.2f}" for v in (pair.weight_curves, pair.cka))
        p = f"{found.independence.p:.2g}" if found.independence else "none"
        print(
            f"| {pair.a} | {pair.b} | {pair.how} | {pair.score:.3f} | {low:.3f} to {high:.3f} | {p} "
            f"| {found.verdict.outcome} | {found.plain_score:.3f} | {statistics.mean(found.null_scores):.2f} "
            f"| {opinions} |"
        )
        plain.append(replace(pair, score=found.plain_score))
    truth = [pair.kind == "derived" for pair in reference.pairs]
    for name in ("score", "weight_curves", "cka"):
        values = [getattr(pair, name) for pair in reference.pairs]
        usable = [(t, v) for t, v in zip(truth, values, strict=True) if v is not None]
        print(f"AUC of {name}: {roc_auc_score(*zip(*usable, strict=True)):.3f} over {len(usable)} pairs")
    for told, pairs_ in (("all pairs", reference.pairs), ("pairs that read the probes", reading(reference.pairs))):
        print(f"lowest derived less highest independent score, {told}: {gap(pairs_):.3f} over {len(pairs_)}")
    print(f"the same of the plain score: {gap(tuple(plain)):.3f}, {gap(reading(tuple(plain))):.3f}")


def _print_probes(prints: dict[str, Fingerprint], reference: Reference) -> None:
    print("Pairs that read the probes, by the number of probes to score on:")
    print("| probes | lowest derived | highest independent | gap | mean width of the interval |")
    print("|---|---|---|---|---|")
    for count in (4, 8, 16, len(prints["smollm2-135m"].passages)):
        scores: dict[str, list[float]] = {"derived": [], "independent": []}
        widths = []
        for pair in reading(reference.pairs):
            sides = (first_probes(prints[name], count) for name in (pair.a, pair.b))
            found = compare(*sides, reference=reference, test=False)
            scores[pair.kind].append(found.score)
            widths.append(found.interval[1] - found.interval[0])
        low, high = min(scores["derived"]), max(scores["independent"])
        print(f"| {count} | {low:.3f} | {high:.3f} | {low - high:.3f} | {statistics.mean(widths):.3f} |")


if __name__ == "__main__":
    main()
