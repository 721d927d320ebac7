"""Does the independence test keep its promise? p-values of models that were trained apart, every pair of them.

    python -m benchmarks.strangers --texts WIKI CODE --out DIR --form gated
    python -m benchmarks.independence --models DIR --form gated [--live] [--neurons 64] [--write]

Read once, every model is tested against every other from its signatures, as fingerprint files hold them, or from its
signals themselves (`--live`). Printed for pairs trained apart, for those in which one or both are fine-tuned copies of
other parents, and for derived pairs (copies against their parents; noise, rounding, another order of neurons, a dropped
layer): Kolmogorov-Smirnov of all layer pairs' p against uniform, how many are below each level, the spread of z, the
smallest p per pair of models, what pairs that share a model have in common, and the exact test of orders. `--write`
keeps the calibration curves for the figure, which is saved as DIR/calibration-FORM.html.
"""

import argparse
import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from scipy.stats import beta, kstest, norm

from benchmarks.strangers import SHAPES, Stranger, strangers
from fnet_core import texts
from fnet_core.derivation.symmetries import permute_neurons
from fnet_core.derivation.weights import add_noise, drop_layers, quantise
from fnet_core.lineage.calibration import CALIBRATION_FILE, CONTRADICTED, LEVELS, calibration_of
from fnet_core.lineage.independence import Matched, match_neurons
from fnet_core.lineage.neuron_signals import form_of, read_signals, read_signatures
from fnet_core.lineage.signatures import Form, LayerSignals
from fnet_core.models.loading import LoadedModel, load
from fnet_core.models.modules import site_widths
from fnet_core.plotting.independence import calibration
from fnet_core.progress import Report, silent

PASSAGES, CHARACTERS = 4, 400
"""What is read: as many passages as a fingerprint's signatures, short enough for models that read no more."""


@dataclass(frozen=True, eq=False)
class Held:
    """A model's signals, read once and held."""

    name: str
    form: Form
    widths: tuple[int, ...]
    layers: tuple[LayerSignals, ...]

    def blocks(self) -> list[list[int]]:
        """One layer after the other."""
        return [[layer] for layer in range(len(self.widths))]

    def read(
        self, layers: Sequence[int], neurons: Sequence[np.ndarray] | None = None, report: Report = silent
    ) -> list[LayerSignals]:
        """The signals of some layers, of all neurons or of those listed for each."""
        found = [self.layers[layer] for layer in layers]
        if neurons is None:
            return found
        return [LayerSignals(each.gate_NG[at], each.up_NG[at]) for each, at in zip(found, neurons, strict=True)]


def neurons_of(loaded: LoadedModel, live: bool) -> Held:
    """A model's neurons as the test takes them, from the model itself or as a fingerprint holds them."""
    passages = [replace(p, text=p.text[:CHARACTERS]) for p in texts.bundled("score")[:PASSAGES]]
    widths = site_widths(loaded.model, "mlp")
    if live:
        layers = tuple(read_signals(loaded, passages, range(len(widths))))
    else:
        signatures = read_signatures(loaded, passages)
        layers = tuple(signatures.layer(layer) for layer in range(len(widths)))
    return Held(loaded.name, form_of(loaded), widths, layers)


def changed(loaded: LoadedModel) -> dict[str, LoadedModel]:
    """Models derived from one, by what was done."""
    ways = {
        "noise 0.1": lambda model, generator: add_noise(model, 0.1, generator),
        "noise 0.3": lambda model, generator: add_noise(model, 0.3, generator),
        "3 bits": lambda model, generator: quantise(model, 3),
        "neurons permuted": permute_neurons,
    }
    if loaded.model.config.num_hidden_layers > 2:
        ways["a layer dropped"] = lambda model, generator: drop_layers(model, 1)
    found = {}
    for how, change in ways.items():
        model = deepcopy(loaded.model).requires_grad_(False)
        change(model, torch.Generator().manual_seed(1))
        found[how] = replace(loaded, model=model)
    return found


def bonferroni(z_LJ: np.ndarray) -> float:
    """The p of a pair of models."""
    return float(min(1.0, norm.sf(z_LJ.max()) * z_LJ.size))


def below(p: np.ndarray) -> list[float]:
    """The shares of p at or below each of `LEVELS`."""
    return [float(np.mean(p <= level)) for level in LEVELS]


def tell(name: str, found: list[Matched]) -> None:
    """Print what the pairs of one kind gave."""
    z = np.concatenate([each.z_LJ.ravel() for each in found])
    p, per_pair = norm.sf(z), np.sort([bonferroni(each.z_LJ) for each in found])
    print(f"{name}: {len(found):,} pairs of models, {len(z):,} of layers")
    print(f"  layers: KS p {kstest(p, 'uniform').pvalue:.3f}; z mean {z.mean():.3f}, deviation {z.std():.3f}, ", end="")
    print(f"largest {z.max():.2f}")
    for level in (0.1, 0.05, 0.01, 0.001):
        print(f"  p below {level:g}: {np.mean(p < level):.4f} of layer pairs, {np.mean(per_pair < level):.4f} of pairs")
    print("  smallest p of pairs, Bonferroni:", ", ".join(f"{value:.3g}" for value in per_pair[:6]))
    print(f"  none as small as any given level: at most {beta.ppf(0.95, 1, len(found)):.2%} of such pairs (95 %)")
    if orders := [each.order_p for each in found if each.order_p is not None]:
        print(f"  orders of neurons: {len(orders)} pairs, KS p {kstest(orders, 'uniform').pvalue:.3f}", end="")
        print(f", smallest {min(orders):.4f}")


def shared(members: list[Stranger], pairs: dict[tuple[int, int], Matched]) -> None:
    """Print how alike the pairs of one model are: the variance of models' mean scores against what chance gives."""
    scores = {pair: norm.isf(min(bonferroni(found.z_LJ), 1 - 1e-9)) for pair, found in pairs.items()}
    ranks = np.argsort(np.argsort(list(scores.values()))) / len(scores)
    in_pair = np.array([[i in pair for pair in scores] for i in range(len(members))], dtype=float)
    in_pair = in_pair[in_pair.any(axis=1)]
    in_pair /= in_pair.sum(axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    drawn = np.array([np.var(in_pair @ rng.permutation(ranks)) for _ in range(1000)])
    found = np.var(in_pair @ ranks)
    chance = f"by chance {drawn.mean():.2e} (p {(1 + (drawn >= found).sum()) / 1001:.3f})"
    print(f"  pairs of one model: variance of the mean rank {found:.2e}, {chance}")


def main() -> None:
    """Read the models, test the pairs, print, and keep the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--form", choices=SHAPES, default="gated")
    parser.add_argument("--texts", type=int, default=2, help="how many texts the models were trained on")
    parser.add_argument("--neurons", type=int, default=64)
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    members = [each for each in strangers(options.form, options.texts) if (options.models / each.name).is_dir()]
    models = [load(str((options.models / each.name).resolve()), device_map="cpu") for each in members]
    sides = [neurons_of(model, options.live) for model in models]
    start = perf_counter()
    pairs = {
        (i, j): match_neurons(sides[i], sides[j], options.neurons, 0) for i, j in combinations(range(len(sides)), 2)
    }
    seconds = (perf_counter() - start) / len(pairs)
    read = "signals" if options.live else "signatures"
    print(f"{options.form}, {read}: {len(models)} models, {seconds:.2f} s per pair", flush=True)
    copies = [bool(each.parent) for each in members]
    related = {pair for pair in pairs if members[pair[0]].lineage == members[pair[1]].lineage}
    apart = {pair: found for pair, found in pairs.items() if pair not in related and not any(copies[i] for i in pair)}
    siblings = [found for pair, found in pairs.items() if pair not in related and any(copies[i] for i in pair)]
    tell("trained apart", list(apart.values()))
    shared(members, apart)
    kind = [(each.family, each.width, each.age) for each in members]
    tell("  of these twins of one shape and age", [found for (i, j), found in apart.items() if kind[i] == kind[j]])
    if siblings:
        tell("with copies of other parents", siblings)
    derived = {f"fine-tuned copy of {members[i].name}": pairs[i, j] for i, j in related}
    parents = {each.parent for each in members}
    for number, each in enumerate(members):
        if each.name in parents:
            for how, model in changed(models[number]).items():
                derived[f"{how} {each.name}"] = match_neurons(
                    sides[number], neurons_of(model, options.live), options.neurons, 0
                )
    floor = 1 / (len(apart) + 1)
    missed = [name for name, found in derived.items() if bonferroni(found.z_LJ) >= floor]
    between = [name for name, found in derived.items() if CONTRADICTED < bonferroni(found.z_LJ) < floor]
    print(f"derived: {len(derived)} pairs, {len(missed)} not below {floor:.2g}: {', '.join(missed)}")
    print(f"  below that, not below {CONTRADICTED:.0e}: {', '.join(between) or 'none'}")
    content = json.loads(CALIBRATION_FILE.read_text("utf-8")) if CALIBRATION_FILE.exists() else {}
    content[options.form] = {
        "models": len(members) - sum(copies),
        "pairs": len(apart),
        "layer_pairs": sum(found.z_LJ.size for found in apart.values()),
        "derived": len(derived),
        "missed": len(missed),
        "smallest": min(bonferroni(found.z_LJ) for found in apart.values()),
        "below_layers": below(np.concatenate([norm.sf(found.z_LJ).ravel() for found in apart.values()])),
        "below_pairs": below(np.array([bonferroni(found.z_LJ) for found in apart.values()])),
    }
    if options.write:
        CALIBRATION_FILE.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        calibration_of.cache_clear()
        calibration(options.form).write_html(options.models / f"calibration-{options.form}.html")


if __name__ == "__main__":
    main()
