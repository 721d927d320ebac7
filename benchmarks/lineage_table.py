"""Fingerprint, independence test, both together, and three peers on many pairs of small models of known origin.

    python -m benchmarks.strangers --texts WIKI CODE --out DIR --form gated   (and --form ungated)
    python -m benchmarks.lineage_table --models DIR --texts WIKI CODE --work WORK [--starters] [--site mlp] [--ways ...]

Derived: of one model of every shape a fine-tuned copy, noise, 3 bits, fewer neurons, a layer less, another order, a
turned residual stream where that can be done, LoRA; of two a mixture of experts, as it comes out and trained on.
Independent: twins of one shape, a third of all other pairs of models of a form, copies against their parents' twins, a
few of either form; only models that were trained longest. Probes are the bundled passages cut to what these models read
at once, networks fewer than usual, for their streams are narrow; every pair is judged against all the others. The
reference is kept as WORK/reference.json. What is there is not made again.
"""

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from scipy.stats import beta
from sklearn.metrics import roc_auc_score

from benchmarks.spectra import alike, spectra
from benchmarks.strangers import AGES, SHAPES, Stranger, strangers
from fnet_core import texts
from fnet_core.choices import FINGERPRINT_SITE, SITES, Site
from fnet_core.derivation.derive import derive
from fnet_core.derivation.symmetries import ROTATABLE
from fnet_core.derivation.training import Training
from fnet_core.errors import RequestError
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.joint import ApartTest
from fnet_core.lineage.reference import Reference, ReferencePair
from fnet_core.lineage.taking import fingerprint
from fnet_core.lineage.verdict import ALIKE, Evidence, judge
from fnet_core.models import loading
from fnet_core.texts import Passage

CHARACTERS, COMPONENTS = 400, 32
"""Of each probe, and networks."""

COMMAND = "python -m benchmarks.lineage_table --models DIR --texts WIKI CODE --work WORK"
WAYS = ("noise:0.1", "noise:0.3", "quantise:3", "prune:0.3", "drop-layers:1", "permute-residual", "rotate")
TURNED = "rotate"
"""Known to take the stream's networks away: judged by the other pairs, and no cut rests on it."""
LORA, UPCYCLED, TRAINED_ON = "lora", "upcycle:4", "upcycle:4, trained on"
STARTERS = {
    "smollm2-135m": ("noise:0.1", "quantise:3", "prune:0.3", "drop-layers:4", "rotate"),
    "gemma3-270m": ("noise:0.1", "prune:0.2"),
}
"""Real models, and what is made of each."""
EVERY = 3
"""Of the pairs of one form that are no twins, this many to one that is compared."""
NONE = Reference("", "", "", ())

Probes = tuple[tuple[Passage, ...], tuple[Passage, ...]]


@dataclass(frozen=True)
class Member:
    """One model: where it lies, or what it is made of and how; `lineage` is whom it descends from."""

    name: str
    lineage: str
    form: str
    source: str = ""
    parent: str = ""
    how: str = ""


@dataclass(frozen=True)
class Judged:
    """What was measured of one pair."""

    a: str
    b: str
    how: str
    evidence: Evidence
    z: float | None
    spectra: float | None
    seconds: float

    @property
    def derived(self) -> bool:
        """Whether the two have a common origin."""
        return self.how != "independent"

    @property
    def reference(self) -> ReferencePair:
        """As it stands in a reference."""
        kind = "derived" if self.derived else "independent"
        found = self.evidence
        reads = not found.unreadable
        return ReferencePair(
            self.a, self.b, kind, self.how, found.score, found.interval, found.weight_curves, found.cka, reads
        )


def short(passages: Sequence[Passage]) -> tuple[Passage, ...]:
    """Passages cut to what small models read at once."""
    return tuple(replace(passage, text=passage.text[:CHARACTERS]) for passage in passages)


def probes() -> Probes:
    """The public ones."""
    return short(texts.bundled("find")), short(texts.bundled("score"))


def taken(folder: str, name: str, read: Probes, site: Site = FINGERPRINT_SITE) -> tuple[Fingerprint, np.ndarray]:
    """The fingerprint and the spectra of a model."""
    loaded = loading.load(folder, device_map="cpu", accept_licence=True)
    found = fingerprint(loaded, find=read[0], score=read[1], components=COMPONENTS, site=site)
    return found.called(name), spectra(loaded.model)


def members(models: Path, starters: bool, ways: Sequence[str] = ()) -> dict[str, Member]:
    """All models, parents before what is made of them; with `ways` nothing is made in any other."""
    found: list[Member] = []
    for form in SHAPES:
        known = [each for each in strangers(form, 2) if (models / each.name).is_dir() and each.age == AGES[-1]]
        for each in known:
            found.append(Member(each.name, each.lineage, form, str((models / each.name).resolve())))
        for each in _bases(known):
            found += [Member(f"{each.name}, {how}", each.lineage, form, "", each.name, how) for how in _ways(each)]
    if starters:
        for name, made in STARTERS.items():
            found.append(Member(name, name, "gated", name))
            found += [Member(f"{name}, {how}", name, "gated", "", name, how) for how in made]
    return {member.name: member for member in found if not (ways and member.how) or member.how in ways}


def _bases(known: Sequence[Stranger]) -> list[Stranger]:
    """One model of every shape to derive others from: one that read the first text last, for the probes are like it."""
    oldest = sorted((each for each in known if each.age == AGES[-1]), key=lambda each: (each.text, bool(each.parent)))
    return list({(each.family, each.width): each for each in reversed(oldest)}.values())


def _ways(stranger: Stranger) -> list[str]:
    ways = [how for how in WAYS if how != "drop-layers:1" or stranger.layers > 2]
    if stranger.family not in ROTATABLE:
        ways.remove("rotate")
    if stranger.family in ("llama", "qwen2", "gpt2"):
        ways.append(LORA)
    return [*ways, UPCYCLED, TRAINED_ON] if stranger.family == "llama" else ways


def pairs(known: dict[str, Member]) -> Iterator[tuple[str, str, str]]:
    """(a, b, how) of every pair."""
    originals = [each for form in SHAPES for each in strangers(form, 2) if each.name in known]
    for each in originals:
        if each.parent:
            yield each.parent, each.name, "fine-tuned"
    for member in known.values():
        if member.parent:
            yield member.parent, member.name, member.how.partition(":")[0] if member.how != TRAINED_ON else member.how
    oldest = [each for each in originals if not each.parent]
    of_one_form = [pair for pair in combinations(oldest, 2) if _form(known, pair[0]) == _form(known, pair[1])]
    for number, (one, other) in enumerate(of_one_form):
        if replace(one, seed=0, text=0) == replace(other, seed=0, text=0) or number % EVERY == 0:
            yield one.name, other.name, "independent"
    for member in known.values():
        changed = member.how in (UPCYCLED, TRAINED_ON, "noise:0.1") or member.name.endswith("-copy")
        if changed and (twin := _twin(oldest, member.lineage)):
            yield member.name, twin, "independent"
    gated, ungated = ([each for each in oldest if known[each.name].form == form] for form in SHAPES)
    for one, other in zip(gated, ungated, strict=False):
        yield one.name, other.name, "independent"
    if all(name in known for name in STARTERS):
        (first, made), (second, others) = STARTERS.items()
        yield first, second, "independent"
        for how, other in zip(made, (*others, "", "", ""), strict=True):
            yield f"{first}, {how}", f"{second}, {other}" if other else second, "independent"
        for one in oldest[::5]:
            yield first, one.name, "independent"
            yield second, one.name, "independent"


def _form(known: dict[str, Member], stranger: Stranger) -> str:
    return known[stranger.name].form


def _twin(oldest: Sequence[Stranger], lineage: str) -> str | None:
    """Another model of the shape of the one from which a model descends."""
    own = next((each for each in oldest if each.name == lineage), None)
    same = [each.name for each in oldest if own and replace(each, seed=0, text=0) == replace(own, seed=0, text=0)]
    return next((name for name in same if name != lineage), None)


def fingerprint_of(member: Member, known: dict[str, Member], code: Path, work: Path, read: Probes, site: Site) -> bool:
    """Take a member's fingerprint and spectra unless they are there; False for a model that cannot be made."""
    path, values = work / "prints" / f"{member.name}.safetensors", work / "prints" / f"{member.name}.npy"
    if path.exists() and values.exists():
        return True
    began = perf_counter()
    folder = work / "models" / member.name
    try:
        source = member.source or str(_made(member, known, folder, code, work))
        found, own = taken(source, member.name, read, site)
    except RequestError as error:
        print(f"{member.name}: left out, {error}", flush=True)
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save(path)
    np.save(values, own)
    if member.how not in ("", UPCYCLED):
        shutil.rmtree(folder)
    reading = "none" if found.bits_per_byte is None else f"{found.bits_per_byte:.2f}"
    print(f"{member.name}: {reading} bits per byte, {perf_counter() - began:.0f} s", flush=True)
    return True


def _made(member: Member, known: dict[str, Member], folder: Path, code: Path, work: Path) -> Path:
    if not folder.exists():
        parent, how, training = known[member.parent].source, member.how, None
        if how == TRAINED_ON:
            parent = str((work / "models" / f"{member.parent}, {UPCYCLED}").resolve())
        if how in (TRAINED_ON, LORA):
            how = f"{'finetune' if how == TRAINED_ON else how}:{code}"
            training = Training(steps=60, learning_rate=5e-4 if member.how == TRAINED_ON else 2e-3, batch=2)
        folder.parent.mkdir(parents=True, exist_ok=True)
        derive(parent, how, folder, seed=1, training=training, accept_licence=True)
    return folder.resolve()


def judged(a: str, b: str, how: str, work: Path) -> Judged:
    """The pair from the working folder, or compared now."""
    kept = work / "pairs" / f"{a} -- {b}.json"
    if kept.exists():
        content = json.loads(kept.read_text("utf-8"))
        return Judged(**content | {"evidence": _evidence(content["evidence"])})
    one, other = (Fingerprint.load(work / "prints" / f"{name}.safetensors") for name in (a, b))
    began = perf_counter()
    found = compare(one, other, reference=NONE)
    seconds = perf_counter() - began
    z = float(found.independence.z_LJ.max()) if found.independence else None
    near = alike(*(np.load(work / "prints" / f"{name}.npy") for name in (a, b)))
    new = Judged(a, b, how, found.evidence(), z, near, seconds)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(asdict(new)), "utf-8")
    return new


def _evidence(content: dict[str, Any]) -> Evidence:
    test = content["test"] and ApartTest(**content["test"])
    return Evidence(**content | {"test": test})


def reference_of(found: Sequence[Judged]) -> Reference:
    """All pairs as a reference distribution."""
    measured = f"{len(found)} pairs of small models"
    return Reference(COMMAND, found[0].evidence.protocol, measured, tuple(each.reference for each in found))


def bound(count: int, of: int) -> float:
    """The upper end of a one-sided 95 % interval of a share (Clopper and Pearson)."""
    return 1.0 if count == of else float(beta.ppf(0.95, count + 1, of - count))


def outcomes(found: Sequence[Judged], reference: Reference) -> dict[str, list[str]]:
    """What fingerprint alone, test alone, and both say of each pair, judged by all the others."""
    told: dict[str, list[str]] = {"fingerprint": [], "test": [], "both": []}
    for index, each in enumerate(found):
        others, evidence = reference.without(index), each.evidence
        told["fingerprint"].append(judge(replace(evidence, test=None), others).outcome)
        finding = evidence.test.finding if evidence.test else "none"
        told["test"].append({"contradicted": "derived", "consistent": "independent"}.get(finding, "inconclusive"))
        told["both"].append(judge(evidence, others).outcome)
    return told


def _share(count: int, of: int) -> str:
    return f"{count} of {of} (at most {bound(count, of):.1%})"


def _print_methods(found: Sequence[Judged], told: dict[str, list[str]]) -> None:
    truth = np.array([each.derived for each in found])
    scores: dict[str, list[float | None]] = {
        "fingerprint": [each.evidence.score for each in found],
        "test": [each.z for each in found],
        "weight curves": [each.evidence.weight_curves for each in found],
        "CKA": [each.evidence.cka for each in found],
        "spectra": [each.spectra for each in found],
    }
    accused: dict[str, np.ndarray] = {name: np.array(said) == "derived" for name, said in told.items()}
    for name in ("weight curves", "CKA"):
        accused[name] = np.array([value is not None and value >= ALIKE for value in scores[name]])
    print("\n| method | AUC (pairs) | derived found by its rule | false accusations (95 %) | when 95 % are found |")
    print("|---|---|---|---|---|")
    for name in ("fingerprint", "test", "both", "weight curves", "CKA", "spectra"):
        auc = at_95 = "-"
        if name in scores:
            has = np.array([value is not None for value in scores[name]])
            values, right = np.array([v for v in scores[name] if v is not None]), truth[has]
            auc = f"{roc_auc_score(right, values):.4f} ({len(values)})"
            cut = np.quantile(values[right], 0.05)
            at_95 = _share(int((values[~right] >= cut).sum()), int((~right).sum()))
        by_rule = ["-", "-"]
        if name in accused:
            hits = int(accused[name][truth].sum())
            by_rule = [f"{hits} of {truth.sum()}", _share(int(accused[name][~truth].sum()), int((~truth).sum()))]
        print(f"| {name} | {auc} | {by_rule[0]} | {by_rule[1]} | {at_95} |")


def _print_kinds(found: Sequence[Judged], told: dict[str, list[str]]) -> None:
    print("\n| how | pairs | score | p | outcomes of both | curves | CKA | spectra |")
    print("|---|---|---|---|---|---|---|---|")
    for how in dict.fromkeys(each.how for each in found):
        at = [index for index, each in enumerate(found) if each.how == how]
        said = [told["both"][index] for index in at]
        counts = ", ".join(f"{said.count(outcome)} {outcome}" for outcome in dict.fromkeys(said))
        p = [test.p for index in at if (test := found[index].evidence.test)]
        columns = [
            _range([found[index].evidence.score for index in at]),
            f"{min(p):.2g} to {max(p):.2g}" if p else "not tested",
            counts,
            *(
                _range([value for index in at if (value := of(found[index])) is not None])
                for of in (lambda e: e.evidence.weight_curves, lambda e: e.evidence.cka, lambda e: e.spectra)
            ),
        ]
        print(f"| {how} | {len(at)} | {' | '.join(columns)} |")


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}" if values else "none"


def main() -> None:
    """Take the fingerprints, compare the pairs, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--texts", type=Path, nargs=2, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--starters", action="store_true", help="two real models and copies of them, too")
    parser.add_argument(
        "--site", choices=list(SITES), default=FINGERPRINT_SITE, help="each site with a WORK of its own"
    )
    parser.add_argument("--ways", nargs="+", default=(), help="only models that are made in these ways")
    options = parser.parse_args()
    known, code, read = members(options.models, options.starters, options.ways), options.texts[1], probes()
    listed = [
        pair
        for pair in dict.fromkeys(pairs(known))
        if set(pair[:2]) <= set(known)
        and all(fingerprint_of(known[name], known, code, options.work, read, options.site) for name in pair[:2])
    ]
    found = [judged(*pair, options.work) for pair in sorted(listed, key=lambda pair: pair[2] == TURNED)]
    reference = reference_of([each for each in found if each.how != TURNED])
    reference.save(options.work / "reference.json")
    told = outcomes(found, reference)
    derived = sum(each.derived for each in found)
    models = {name for each in found for name in (each.a, each.b)}
    print(f"\n{len(models)} models, {derived} derived and {len(found) - derived} independent pairs, ", end="")
    print(f"{np.mean([each.seconds for each in found]):.2f} s per pair from files")
    cuts = reference.cuts()
    print(f"cuts: {cuts}" if cuts else "the two kinds of score do not lie apart: no cuts, the fingerprint decides none")
    _print_methods(found, told)
    _print_kinds(found, told)
    for each, said in zip(found, told["both"], strict=True):
        if said == ("independent" if each.derived else "derived"):
            print(f"wrong: {each.a} and {each.b} ({each.how}) {said}, score {each.evidence.score:.2f}")


if __name__ == "__main__":
    main()
