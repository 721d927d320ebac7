"""Try every operation at every site on a tiny model of every family's real class, and write `docs/models.md`.

    python -m benchmarks.model_table [--family NAME ...]

Nothing is taken from a list: networks are found, edits change the logits and are undone, an edit that is saved in the
weights gives the same logits in a loaded folder, a cut model gives those of the masked one after export, and a
fingerprint is compared with itself. What is refused stands below the table with its reason; a wrong number ends the
command. With --family it prints these rows and writes nothing.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from fnet_core.abilities import AT_SITES, TO_WHOLE, Ability
from fnet_core.choices import SITES
from fnet_core.derivation.derive import derive
from fnet_core.derivation.training import Training
from fnet_core.errors import RequestError
from fnet_core.interventions.baking import bake
from fnet_core.interventions.editing import editing
from fnet_core.interventions.edits import Edit
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.taking import FingerprintRequest, fingerprint_of
from fnet_core.models import loading as models
from fnet_core.models.families import FAMILIES
from fnet_core.models.loading import LoadedModel
from fnet_core.models.saving import CODE
from fnet_core.models.structure import family_of
from fnet_core.networks.finding import AtlasRequest, atlas_of
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.export import export
from fnet_core.pruning.masking import masking, prepare
from fnet_core.pruning.plan import PrunePlan, make_plan
from fnet_core.pruning.request import PlanRequest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.pruning_cases import PASSAGES, REQUEST, random_scores
from support.tiny_models import save_tiny
from support.unlisted import BY_STRUCTURE, save_unlisted

OUT = Path(__file__).parents[1] / "docs" / "models.md"
IDS = torch.randint(4, 61, (2, 19), generator=torch.Generator().manual_seed(1))
CLOSE = 1e-4
STRUCTURED = ("noise:0.1", "quantise:3", "drop-layers:1")
"""Ways to derive a model that need no row of the table; all but the first are refused where the class is unclear."""

LETTERS = {"atlas": "A", "edit": "E", "bake": "B", "fingerprint": "F"}

HEAD = """# Models

What works with which architecture, made by `python -m benchmarks.model_table`, which really runs every operation on a
tiny random model of each real class: do not edit it by hand. The Model page and `fnet models NAME` say the same of any
model before it is loaded.

At a site: **A** find networks, **E** edit them, **B** save the edits in the weights, **F** take a fingerprint and
compare it. Pruning: *plain* where the saved folder needs no code of its own when every layer is cut alike and nothing
stands in for what goes, *code* where it always brings `modeling_fnet.py`. Layers cut unevenly, or with a compensation,
bring it in every family.

"""

STRUCTURE = """
## By structure

An architecture that is not in the table is tried by its structure. One forward pass is followed without weights; where
it shows plainly which modules the attention and the MLP are and that both are added to the stream, and where the loaded
model's own numbers then agree, networks are found and edited and fingerprints taken at `mlp`, `mlp_out`, `residual` and
`heads`; neurons and heads are not cut, nor edits saved. `derive` works by noise, merging, training and LoRA, by
rounding where linear maps hold all matrices of the layers, and by dropping layers where the configuration says no more
of each than `layer_types`. All else is refused with what was ambiguous. Run here on a tiny random model of each class,
each operation at each of these sites and each of these ways but merging:

"""


def main() -> None:
    """Run everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", nargs="+", choices=list(FAMILIES))
    options = parser.parse_args()
    found = {}
    for family in options.family or FAMILIES:
        found[family] = tried(family)
        print(row(family, found[family]), flush=True)
    if not options.family:
        OUT.write_text(table(found) + by_structure(), "utf-8")


def tried(family: str) -> tuple[Ability, ...]:
    """What happened when each operation was run on a tiny model; AssertionError for a wrong number."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = replace(models.load(str(save_tiny(Path(folder) / "model", family))), name="the model")
        found = []
        for site in SITES:
            for operation, run in _AT_SITES.items():
                found.append(_tried(operation, site, lambda run=run, site=site: run(loaded, site, Path(folder))))
        for operation, (neurons, heads, plain) in _TO_WHOLE.items():
            found.append(
                _tried(operation, None, lambda n=neurons, h=heads, p=plain: _cut(loaded, n, h, p, Path(folder)))
            )
        return tuple(found)


def by_structure() -> str:
    """What is said of architectures that are not in the table; whatever one of those named raises ends the command."""
    for name in BY_STRUCTURE:
        with tempfile.TemporaryDirectory() as folder:
            loaded = replace(models.load(str(save_unlisted(Path(folder) / "model", name))), name="the model")
            for site in family_of(loaded.model.config).sites:
                for operation in ("atlas", "edit", "fingerprint"):
                    _AT_SITES[operation](loaded, site, Path(folder))
            _derive(loaded, Path(folder))
    return STRUCTURE + ", ".join(f"`{name}`" for name in BY_STRUCTURE) + ".\n"


def _tried(operation: str, site: str | None, run: Callable[[], None]) -> Ability:
    try:
        run()
    except RequestError as error:
        return Ability(operation, site, False, str(error))
    return Ability(operation, site, True)


@torch.no_grad()
def _logits(loaded: LoadedModel) -> torch.Tensor:
    return loaded.model(input_ids=IDS).logits


def _find(loaded: LoadedModel, site: str, folder: Path) -> None:
    request = AtlasRequest(loaded.name, PASSAGES, site, components=2, restarts=2)
    atlas = atlas_of(loaded, request).answer
    assert len(atlas) == 2 and all((abs(maps) < 1e6).all() for maps in atlas.maps)


def _edit_of(site: str) -> tuple[Edit, ...]:
    return (Edit(site, ((0, 0), (1, 1), (2, 2)), gain=0.0),)


def _edit(loaded: LoadedModel, site: str, folder: Path) -> None:
    before = _logits(loaded)
    with editing(loaded, _edit_of(site)):
        assert (_logits(loaded) - before).abs().max() > CLOSE
    assert torch.equal(_logits(loaded), before)


def _bake(loaded: LoadedModel, site: str, folder: Path) -> None:
    baked = models.load(str(bake(loaded, _edit_of(site), folder / f"baked-{site}", {})))
    with editing(loaded, _edit_of(site)):
        assert (_logits(baked) - _logits(loaded)).abs().max() < CLOSE


def _fingerprint(loaded: LoadedModel, site: str, folder: Path) -> None:
    taken = fingerprint_of(loaded, FingerprintRequest(loaded.name, PASSAGES, PASSAGES, site, 2, 1.0)).answer
    assert compare(taken, taken).outcome == "same model"


def _derive(loaded: LoadedModel, folder: Path) -> None:
    """Every way that no row is needed for gives a folder that plain transformers loads and whose numbers differ."""
    text = folder / "text.txt"
    text.write_text("a small text of a few dozen letters to be trained on.")
    for how in (*STRUCTURED, f"finetune:{text}", f"lora:{text}"):
        out = folder / f"derived-{how.partition(':')[0]}"
        try:
            derive(str(loaded.path), how, out, training=Training(steps=2, learning_rate=1e-2, window=16))
        except RequestError as error:
            assert how in STRUCTURED[1:] and "by its structure" in str(error)
            continue
        again = AutoModelForCausalLM.from_pretrained(out).eval()
        with torch.no_grad():
            assert (again(input_ids=IDS).logits - _logits(loaded)).abs().max() > CLOSE


def _plan(loaded: LoadedModel, neurons: bool, heads: bool, even: bool) -> PrunePlan:
    """Part of what may go, by chance: half of every layer, or a third of all from all but the first."""
    ratio, protected = (0.5, (0, 0)) if even else (0.34, (1, 0))
    asked = PlanRequest("random", ratio, protected=protected, even=True, heads=heads)
    plan = make_plan(anatomy(loaded), random_scores(loaded), asked)
    return plan if neurons else replace(plan, keep_mlp=tuple(np.ones_like(keep) for keep in plan.keep_mlp))


def _cut(loaded: LoadedModel, neurons: bool, heads: bool, plain: bool, folder: Path) -> None:
    """Neurons or heads go, unevenly with their mean in their place or evenly with nothing; the export is loaded."""
    pruning = prepare(
        loaded, _plan(loaded, neurons, heads, plain), "none" if plain else "bias", REQUEST.with_heads(heads)
    )
    assert bool(pruning.plan.removed_neurons) == neurons and bool(pruning.plan.removed_heads) == heads
    out = export(loaded, pruning, folder / f"cut-{neurons}-{plain}")
    code = (out / CODE).exists()
    again = AutoModelForCausalLM.from_pretrained(out, trust_remote_code=code).eval()
    with masking(loaded, pruning), torch.no_grad():
        assert (again(input_ids=IDS).logits - _logits(loaded)).abs().max() < CLOSE
    if plain and code:
        raise RequestError("The configuration cannot say it, so the folder brings a short file of code.")


_AT_SITES = {"atlas": _find, "edit": _edit, "bake": _bake, "fingerprint": _fingerprint}
_TO_WHOLE = {
    "neurons": (True, False, False),
    "heads": (False, True, False),
    "plain neurons": (True, False, True),
    "plain heads": (False, True, True),
}
assert set(_AT_SITES) == set(AT_SITES) and set(_TO_WHOLE) == set(TO_WHOLE)


def row(family: str, found: Iterable[Ability]) -> str:
    """The line of the table for one family."""
    works = {(ability.operation, ability.site): ability.works for ability in found}
    cells = ["".join(letter for name, letter in LETTERS.items() if works[name, site]) or "–" for site in SITES]
    for what in ("neurons", "heads"):
        cells.append("–" if not works[what, None] else "plain" if works[f"plain {what}", None] else "code")
    return f"| `{family}` | {' | '.join(cells)} |"


def _works(abilities: Iterable[Ability], operation: str) -> bool:
    return all(ability.works for ability in abilities if ability.operation == operation)


def table(found: dict[str, tuple[Ability, ...]]) -> str:
    """The page: the table, and why not where something does not work."""
    names = [f"`{site}`" for site in SITES]
    lines = [f"| family | {' | '.join(names)} | prune neurons | prune heads |", "|---" * (len(names) + 3) + "|"]
    lines += [row(family, abilities) for family, abilities in found.items()]
    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for family, abilities in found.items():
        for ability in abilities:
            known = ability.operation.startswith("plain") and not _works(abilities, ability.operation[len("plain ") :])
            if not ability.works and not known:
                what = ability.operation + (f" at {ability.site}" if ability.site else "")
                reasons[what, ability.reason.replace(f"A {family} model", "The model")].append(f"`{family}`")
    lines += ["", "What does not work, in the words of the refusal:", ""]
    for (what, reason), families in reasons.items():
        where = "every family" if len(families) == len(found) else ", ".join(families)
        lines.append(f"- {what}, {where}: {reason}")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
