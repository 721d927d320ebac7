"""What can be done to a model so that nobody sees where it comes from, or to an innocent one so that it looks derived?

    python -m benchmarks.lineage_table --models DIR --texts WIKI CODE --work WORK
    python -m benchmarks.attacks --models DIR --texts WIKI CODE --work WORK [--only WORD] [--site mlp]

The victim and the innocent stranger are two models of one shape, text and length of training and of two seeds. Every
attack is judged on the public probes and on secret ones, passages that no attack has read, by the reference of the
lineage table. Printed for each: score, p of the formula, verdict, layers in words, bits per byte on the probes, steps
and seconds. Every row is kept in WORK/attacks, so that a second run goes on where the first stopped.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from benchmarks.lineage_table import Probes, probes, short, taken
from benchmarks.strangers import CONTEXT, RATE, new_model, strangers, tokens_of
from fnet_core import texts
from fnet_core.activations.fitting import reader_of
from fnet_core.activations.hooks import touching_taps
from fnet_core.choices import FINGERPRINT_SITE, SITES, Site
from fnet_core.derivation.distilling import distil, fresh
from fnet_core.derivation.finetune import text_ids, train
from fnet_core.derivation.symmetries import permute_neurons, rescale_neurons, rotate_residual
from fnet_core.derivation.training import Training
from fnet_core.derivation.weights import merge
from fnet_core.errors import RequestError
from fnet_core.lineage.comparison import Comparison, compare
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.reference import Reference, load_reference
from fnet_core.lineage.signing import new_key
from fnet_core.models import loading
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import Tap, decoder_layers, mlp_projections, taps
from fnet_core.models.saving import saving_model

VICTIM, STRANGER = "llama-96-360-text0-4600", "llama-96-360-text0-4601"
SHARES = (0.9, 0.7, 0.5, 0.3, 0.1)
HEALING = Training(steps=40, learning_rate=5e-4, window=256, batch=2)
AGAINST = 3.0
"""Weight of what an attack on the probes wants, beside the loss on text, nats per token."""

Models = dict[str, LoadedModel]
Made = tuple[LoadedModel, int]
"""A changed copy, and the steps it was trained for."""


@dataclass(frozen=True)
class Seen:
    """What one kind of probes says of one attack."""

    score: float
    p: float | None
    verdict: str
    layers: list[str]


@dataclass(frozen=True)
class Row:
    """One attack against one model."""

    attack: str
    against: str
    public: Seen
    secret: Seen
    bits_per_byte: float | None
    steps: int
    seconds: float


@dataclass(frozen=True)
class Attack:
    """One attack: whom its product is held against, and what makes it."""

    name: str
    against: str
    make: Callable[[Models, "Given"], Made]


@dataclass(frozen=True)
class Given:
    """What every attack may use: a text like that of the victim, another text, and the public probes."""

    text: Path
    other: Path
    public: Probes

    def ids(self, loaded: LoadedModel, file: Path) -> Tensor:
        """A text's tokens."""
        return text_ids(loaded, str(file))


def copied(loaded: LoadedModel) -> LoadedModel:
    """A copy to change."""
    return replace(loaded, model=deepcopy(loaded.model))


def healed(loaded: LoadedModel, file: Path, given: Given, steps: int = HEALING.steps) -> Made:
    """Trained on a text for a while."""
    model = loaded.model.requires_grad_(True)
    training = replace(HEALING, steps=steps)
    train(model, list(model.parameters()), given.ids(loaded, file), (), training, torch.Generator().manual_seed(5))
    model.requires_grad_(False)
    return loaded, steps


def turned(models: Models, given: Given) -> Made:
    """Permuted, rescaled and rotated: other weights, the same function."""
    found, generator = copied(models[VICTIM]), torch.Generator().manual_seed(3)
    permute_neurons(found.model, generator)
    rescale_neurons(found.model, 3.0, generator)
    rotate_residual(found.model, generator)
    return found, 0


def turned_and_trained(models: Models, given: Given) -> Made:
    """The same, then fine-tuned on another text."""
    found, _ = turned(models, given)
    return healed(found, given.other, given)


def distilled(models: Models, given: Given) -> Made:
    """Fresh weights that predict what the victim predicts."""
    victim, steps = models[VICTIM], 200
    student = replace(victim, model=fresh(victim.model, seed=11))
    distil(student, victim.model, str(given.text), replace(HEALING, steps=steps, learning_rate=2e-3), seed=11)
    return student, steps


def merged(models: Models, given: Given, share: float, heal: bool = False) -> Made:
    """The stranger with so large a share of the victim averaged in."""
    found = copied(models[STRANGER])
    merge(found.model, models[VICTIM].model, share=share)
    return healed(found, given.text, given) if heal else (found, 0)


def spliced(models: Models, given: Given) -> Made:
    """The victim's first layers and embeddings, the stranger's last ones, trained together for a while."""
    found, theirs = copied(models[VICTIM]), decoder_layers(models[STRANGER].model)
    own = decoder_layers(found.model)
    for number in range(len(own) // 2, len(own)):
        own[number].load_state_dict(theirs[number].state_dict())
    found.model.get_output_embeddings().load_state_dict(models[STRANGER].model.get_output_embeddings().state_dict())
    return healed(found, given.text, given)


def against_probes(models: Models, given: Given) -> Made:
    """Fine-tuned so that stream and neurons do on the public probes what they did not do before."""
    return _steered(copied(models[VICTIM]), models[VICTIM], given, _unlike, 80)


def towards_victim(models: Models, given: Given) -> Made:
    """An innocent model, fine-tuned so that its stream does on the public probes what the victim's does."""
    return _steered(copied(models[STRANGER]), models[VICTIM], given, _alike, 80)


def same_start(models: Models, given: Given, other: bool) -> Made:
    """An innocent model from the victim's first weights: somebody else took the same code and the same seed."""
    victim = next(each for each in strangers("gated", 2) if each.name == VICTIM)
    tokenizer, ids = tokens_of(given.other if other else given.text)
    model = new_model(victim, tokenizer)
    training = Training(steps=victim.age, learning_rate=RATE, window=CONTEXT, batch=2)
    train(model, list(model.parameters()), ids, (), training, torch.Generator().manual_seed(victim.seed + 500))
    model.requires_grad_(False)
    return replace(models[VICTIM], model=model, tokenizer=tokenizer), victim.age


def _steered(
    changed: LoadedModel,
    model: LoadedModel,
    given: Given,
    wanted: Callable[[list[Tensor], list[Tensor]], Tensor],
    steps,
) -> Made:
    """Trained on text and, with weight `AGAINST`, on what is wanted of its signals and another model's on probes."""
    public = [passage for split in given.public for passage in split]
    ids = [torch.tensor(changed.tokenizer(passage.text)["input_ids"]) for passage in public]
    draws = torch.Generator().manual_seed(7)

    def loss_of(windows_BT: Tensor) -> Tensor:
        loss = changed.model(input_ids=windows_BT, labels=windows_BT, use_cache=False).loss
        at = torch.randint(0, len(ids), (3,), generator=draws).tolist()
        with torch.no_grad():
            aim = _signals(model, [ids[i] for i in at])
        return loss + AGAINST * wanted(_signals(changed, [ids[i] for i in at]), aim)

    weights = list(changed.model.requires_grad_(True).parameters())
    tokens = given.ids(changed, given.text)
    train(changed.model, weights, tokens, (), replace(HEALING, steps=steps), draws, loss_of=loss_of)
    changed.model.requires_grad_(False)
    return changed, steps


def _signals(loaded: LoadedModel, ids: Sequence[Tensor]) -> list[Tensor]:
    """Residual stream, gate and up of every layer, (tokens, neurons) each, over some passages."""
    mlps = mlp_projections(loaded.model)
    places = [*taps(loaded.model, "residual"), *(Tap(module, "output") for mlp in mlps for module in mlp.up)]
    found: list[list[Tensor]] = [[] for _ in places]
    with touching_taps(places, lambda place, activation: found[place].append(activation.flatten(0, -2))):
        for passage in ids:
            loaded.model(input_ids=passage[None], use_cache=False)
    return [torch.cat(each) for each in found]


def _unlike(own: list[Tensor], before: list[Tensor]) -> Tensor:
    """Linear CKA of the streams and squared correlation of each neuron with what it was, averaged."""
    layers = len(own) // 3
    same = [_cka(a, b) for a, b in zip(own[:layers], before[:layers], strict=True)]
    same += [_own(a, b).square().mean() for a, b in zip(own[layers:], before[layers:], strict=True)]
    return torch.stack(same).mean()


def _alike(own: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """How far linear CKA of the streams is from 1."""
    layers = len(own) // 3
    return 1 - torch.stack([_cka(a, b) for a, b in zip(own[:layers], wanted[:layers], strict=True)]).mean()


def _cka(a_TN: Tensor, b_TM: Tensor) -> Tensor:
    a_TN, b_TM = a_TN - a_TN.mean(dim=0), b_TM - b_TM.mean(dim=0)
    return (a_TN.T @ b_TM).square().sum() / ((a_TN.T @ a_TN).norm() * (b_TM.T @ b_TM).norm())


def _own(a_TN: Tensor, b_TN: Tensor) -> Tensor:
    a_TN, b_TN = a_TN - a_TN.mean(dim=0), b_TN - b_TN.mean(dim=0)
    return (a_TN * b_TN).sum(dim=0) / (a_TN.norm(dim=0) * b_TN.norm(dim=0)).clamp_min(1e-9)


ATTACKS = (
    Attack("none: the stranger as it is", VICTIM, lambda models, given: (copied(models[STRANGER]), 0)),
    Attack("permuted, rescaled, rotated", VICTIM, turned),
    Attack("permuted, rescaled, rotated, fine-tuned", VICTIM, turned_and_trained),
    *(
        Attack(f"merged: {share:.0%} victim, the rest a stranger", VICTIM, partial(merged, share=share))
        for share in SHARES
    ),
    Attack("merged: 50% victim, fine-tuned", VICTIM, partial(merged, share=0.5, heal=True)),
    Attack("spliced: half victim, half stranger", VICTIM, spliced),
    Attack("spliced: half victim, half stranger", STRANGER, spliced),
    Attack("fine-tuned against the public probes", VICTIM, against_probes),
    Attack("a stranger fine-tuned towards the victim", VICTIM, towards_victim),
    Attack("distilled into fresh weights", VICTIM, distilled),
    Attack("innocent: the same first weights, other order", VICTIM, partial(same_start, other=False)),
    Attack("innocent: the same first weights, other text", VICTIM, partial(same_start, other=True)),
)


def seen(found: Comparison) -> Seen:
    """A comparison in the table's words."""
    apart = found.independence
    p, layers = (apart.nominal_p, apart.layers_in_words) if apart else (None, [])
    return Seen(found.score, p, found.outcome, layers)


def row_of(
    attack: Attack, models: Models, given: Given, secret: Probes, reference: Reference, work: Path, site: Site
) -> Row:
    """The row from the working folder, or the attack made and judged now."""
    kept = work / f"{attack.name} -- {attack.against}.json"
    if kept.exists():
        content = json.loads(kept.read_text("utf-8"))
        return Row(**content | {"public": Seen(**content["public"]), "secret": Seen(**content["secret"])})
    folder = work / "models" / attack.name.replace("%", "")
    note = work / f"{attack.name}.cost.json"
    if not folder.exists():
        began = perf_counter()
        made, steps = attack.make(models, given)
        note.write_text(json.dumps([steps, perf_counter() - began]), "utf-8")
        with saving_model(made.model, made.tokenizer, folder):
            pass
    steps, seconds = json.loads(note.read_text("utf-8"))
    judged, bits = [], None
    for read, name in ((given.public, "public"), (secret, "secret")):
        product = _print(str(folder.resolve()), attack.name, read, work / f"{attack.name} {name}.safetensors", site)
        origin = _print(
            models[attack.against].path, attack.against, read, work / f"{attack.against} {name}.safetensors", site
        )
        known = replace(reference, protocol=origin.protocol_digest)
        judged.append(seen(compare(origin, product, reference=known)))
        bits = bits if name == "secret" else product.bits_per_byte
    row = Row(attack.name, attack.against, *judged, bits, steps, seconds)
    kept.write_text(json.dumps(asdict(row)), "utf-8")
    return row


def _print(folder: Path | str, name: str, read: Probes, path: Path, site: Site) -> Fingerprint:
    if not path.exists():
        taken(str(folder), name, read, site)[0].save(path)
    return Fingerprint.load(path)


def forged(work: Path, reference: Reference) -> list[str]:
    """What a forged file gets: the victim's content under the stranger's name, without and with a signature."""
    victim, stranger = (Fingerprint.load(work / f"{name} public.safetensors") for name in (VICTIM, STRANGER))
    recipe = victim.recipe | {"model_digest": stranger.model.digest, "model": STRANGER}
    fake = replace(victim, model=replace(stranger.model, layers=victim.model.layers), recipe=recipe)
    path = work / "forged.safetensors"
    fake.save(path)
    found = seen(compare(victim, Fingerprint.load(path), reference=reference))
    told = [f"forged file, unsigned: read; score {found.score:.2f}, p {_p(found.p)}, {found.verdict}"]
    owner = stranger.signed(new_key())
    replace(fake, signature=None).save(path)
    try:
        replace(fake, signature=owner.signature).save(path)
        told.append("forged file with the owner's signature put on: read, which must not be")
    except RequestError as error:
        told.append(f"forged file with the owner's signature put on: refused ({error})")
    return told


def _p(p: float | None) -> str:
    return "none" if p is None else "0" if p == 0 else f"{p:.1g}"


def secret_probes(victim: LoadedModel) -> Probes:
    """Passages that no attack has read, in an order drawn by a seed; those alone that the models read at once."""
    reader = reader_of(victim)
    more = short([passage for passage in texts.for_networks() if passage.source == "bundled/more"])
    kept = [passage for passage in more if reader.takes(passage.text)]
    order = np.random.default_rng(20261126).permutation(len(kept))
    drawn = [kept[i] for i in order[:48]]
    first, second = (tuple(drawn[a:b]) for a, b in pairwise((0, 24, 48)))
    return first, second


def main() -> None:
    """Make every attack, judge it, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--texts", type=Path, nargs=2, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", default="", help="the attacks whose name holds this")
    parser.add_argument("--site", choices=list(SITES), default=FINGERPRINT_SITE, help="that of the table in WORK")
    options = parser.parse_args()
    reference = load_reference(options.work / "reference.json")
    if reference is None:
        raise SystemExit("attacks: there is no reference yet; run benchmarks.lineage_table with the same --work first.")
    work = options.work / "attacks"
    (work / "models").mkdir(parents=True, exist_ok=True)
    models = {
        name: loading.load(str((options.models / name).resolve()), device_map="cpu") for name in (VICTIM, STRANGER)
    }
    given, secret = Given(*options.texts, probes()), secret_probes(models[VICTIM])
    print(
        "| attack | against | public: score, p, verdict | secret: score, p, verdict | bits per byte | steps, seconds |"
    )
    print("|---|---|---|---|---|---|")
    rows = []
    for attack in ATTACKS:
        if options.only not in attack.name:
            continue
        row = row_of(attack, models, given, secret, reference, work, options.site)
        rows.append(row)
        both = [f"{one.score:.2f}, {_p(one.p)}, {one.verdict}" for one in (row.public, row.secret)]
        bits = "none" if row.bits_per_byte is None else f"{row.bits_per_byte:.2f}"
        whom = "victim" if row.against == VICTIM else "stranger"
        print(
            f"| {row.attack} | {whom} | {both[0]} | {both[1]} | {bits} | {row.steps}, {row.seconds:.0f} |", flush=True
        )
    for name in (VICTIM, STRANGER):
        bits_of = Fingerprint.load(work / f"{name} public.safetensors").bits_per_byte
        print(f"{name}: {bits_of:.2f} bits per byte")
    for row in rows:
        if row.attack.startswith("spliced"):
            print(f"{row.attack} against {row.against}: {' '.join(row.public.layers)}")
    if not options.only:
        print("\n".join(forged(work, reference)))


if __name__ == "__main__":
    main()
