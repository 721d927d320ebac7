"""Direct logit effect: the tokens that a network would promote and suppress if what it writes went straight to the end.

A network's key neurons move by their z-values times their own standard deviations; that goes through their rows of
the down-projection, and the sum over layers through the unembedding. The final norm's weights are folded in, its scale
is held fixed, which changes all tokens alike; so is the scale of a norm behind an MLP, at its mean over the text.
What later layers make of it is left out.

Shape legend: K networks, M random draws, V directions, D the model's width, N neurons of a layer, C tokens kept.
Source: nostalgebraist 2020, "interpreting GPT: the logit lens"; Geva et al. 2022, arXiv 2203.14680, for rows of the
down-projection read as tokens.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fnet_core.activations.reading import read_subjects
from fnet_core.checks import check_range, check_seed
from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.drawing import Described
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import Projection, site_widths, taps, weight_of
from fnet_core.models.output import final_norm, norm_behind_mlp, norm_gain, unembedding
from fnet_core.models.running import Running, running
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.origin import found_in
from fnet_core.progress import Report, silent
from fnet_core.storage import artifacts, memo
from fnet_core.storage.memo import Kind

KIND = "logits"
FORMAT = METHOD_VERSION = 1
DRAWS = 10
"""Random sets of as many neurons in the same layers, with the same z-values."""
KEPT = 20
"""Tokens kept on either side."""
READ = 8
"""Passages of the atlas over which neurons' standard deviations are taken."""
CAVEAT = (
    "This is what the network's neurons write, read as if nothing came after: the final norm's weights are folded in, "
    "its scale is held fixed, and what later layers make of it is left out. Networks of early layers mostly write for "
    "them, so their tokens mean less."
)
"""What a reader has to know."""
_TOGETHER = 8
"""Networks whose logits are held at once."""
_PROMOTED, _SUPPRESSED = 0, 1


@dataclass(frozen=True, eq=False, repr=False)
class DirectEffect(Described):
    """Every network's most promoted and suppressed tokens, beside those of random neurons."""

    recipe: dict[str, Any]
    networks: tuple[int, ...]
    """The numbers of the K networks with key neurons."""
    labels: tuple[str, ...]
    tokens: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    """Per network, the C most promoted and the C most suppressed tokens as text, the strongest first."""
    ids_K2C: np.ndarray
    """int32, the same tokens' numbers."""
    effects_K2C: np.ndarray
    """float32, their logits in standard deviations over the vocabulary, from its mean."""
    random_KM2: np.ndarray
    """float32, the highest and the lowest token of each random draw; NaN where none can be made."""

    def table(self, network: int) -> pd.DataFrame:
        """A network's tokens, the strongest first: promoted, promoted_sd, suppressed, suppressed_sd.

        RequestError for a network without key neurons at this threshold.
        """
        row = self._row(network)
        promoted, suppressed = self.tokens[row]
        return pd.DataFrame(
            {
                "promoted": promoted,
                "promoted_sd": self.effects_K2C[row, _PROMOTED],
                "suppressed": suppressed,
                "suppressed_sd": self.effects_K2C[row, _SUPPRESSED],
            }
        )

    def beyond_random(self, network: int) -> bool | None:
        """Whether its most promoted token stands higher than that of every random draw; None without any."""
        row = self._row(network)
        random_M = self.random_of(network)
        return bool(self.effects_K2C[row, _PROMOTED, 0] > random_M.max()) if len(random_M) else None

    def random_of(self, network: int) -> np.ndarray:
        """How high the most promoted token of each random draw stands, (M,) float32; empty where none can be made."""
        random_M = self.random_KM2[self._row(network), :, _PROMOTED]
        return random_M[np.isfinite(random_M)]

    def sentence(self, network: int) -> str:
        """How far the strongest token stands out, beside random neurons."""
        row = self._row(network)
        top = f"Its most promoted token stands {self.effects_K2C[row, _PROMOTED, 0]:.1f} SD above the vocabulary's mean"
        random_M = self.random_of(network)
        if not len(random_M):
            return f"{top}; so many neurons of a layer are its own that no random ones can be drawn beside them."
        told = f"that of {len(random_M)} random sets of as many neurons {random_M.min():.1f} to {random_M.max():.1f} SD"
        verdict = "more than any of them" if self.beyond_random(network) else "no more than random neurons give"
        return f"{top}, {told}: {verdict}."

    def _row(self, network: int) -> int:
        if network not in self.networks:
            raise RequestError(
                f"Network {network} has no neuron with |z| above {self.recipe['threshold']:g}; lower the threshold."
            )
        return self.networks.index(network)

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line."""
        return {
            "model": self.recipe["model"],
            "site": self.recipe["site"],
            "threshold": self.recipe["threshold"],
            "networks": [
                {
                    "id": network,
                    "label": label,
                    "promoted": _pairs(self.tokens[row][0], self.effects_K2C[row, _PROMOTED]),
                    "suppressed": _pairs(self.tokens[row][1], self.effects_K2C[row, _SUPPRESSED]),
                    "random_highest": self.random_of(network).tolist(),
                    "beyond_random": self.beyond_random(network),
                }
                for row, (network, label) in enumerate(zip(self.networks, self.labels, strict=True))
            ],
            "caveat": CAVEAT,
            "recipe": self.recipe,
        }

    def _description(self) -> tuple[str, dict[str, object]]:
        beyond = sum(self.beyond_random(network) is True for network in self.networks)
        return f"Direct logit effect of {len(self.networks)} networks of {self.recipe['model']}", {
            "beyond random neurons": f"{beyond} of {len(self.networks)}",
            "to be read with care": CAVEAT,
        }

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all; RequestError if the disk refuses."""
        header = {
            "recipe": self.recipe,
            "networks": list(self.networks),
            "labels": list(self.labels),
            "tokens": [[list(side) for side in sides] for sides in self.tokens],
        }
        artifacts.save_artifact(path, KIND, {name: getattr(self, name) for name in _ARRAYS}, header, FORMAT)

    @classmethod
    def load(cls, path: Path) -> "DirectEffect":
        """Read a saved one; RequestError when it is missing, damaged, or of another format."""
        arrays, header = artifacts.load_artifact(path, KIND, FORMAT)
        tokens = tuple((tuple(up), tuple(down)) for up, down in header["tokens"])
        names = {name: arrays[name] for name in _ARRAYS}
        return cls(header["recipe"], tuple(header["networks"]), tuple(header["labels"]), tokens, **names)


_ARRAYS = ("ids_K2C", "effects_K2C", "random_KM2")

DIRECT = Kind(KIND, DirectEffect.load, FORMAT, keyed_since=1, names=frozenset({"model"}))
"""Direct logit effects in the store."""


def _pairs(tokens: tuple[str, ...], effects_C: np.ndarray) -> list[dict[str, Any]]:
    return [{"token": token, "sd": float(effect)} for token, effect in zip(tokens, effects_C, strict=True)]


def why_not(atlas: Atlas) -> str:
    """Why the networks of this atlas's site have no direct effect on logits, as a sentence; empty where they have."""
    reasons = {
        "heads": "A head is measured by its mean activity, which has no direction of its own in the residual stream",
        "experts": "A router's probability is not written to the residual stream",
    }
    if reason := reasons.get(atlas.site):
        return f"{reason}, so there is no direct effect on tokens; find networks at site mlp, mlp_out or residual."
    return ""


def direct_recipe(
    atlas: Atlas, threshold: float = DEFAULT_THRESHOLD, seed: int = 0, model: Running | None = None
) -> dict[str, Any] | None:
    """What the answer is kept by: for `model`, or as the model ran when the atlas was found; None if unknown."""
    model = model or found_in(atlas)
    if model is None:
        return None
    return model.recipe("torch", "transformers") | {
        "site": atlas.site,
        "neurons": _neurons_digest(atlas, threshold),
        "texts_digest": artifacts.digest([[p.name, p.text] for p in atlas.passages[:READ]]),
        "threshold": threshold,
        "draws": DRAWS,
        "kept": KEPT,
        "seed": seed,
        "method_version": METHOD_VERSION,
    }


def _neurons_digest(atlas: Atlas, threshold: float) -> str:
    """The digest of all key neurons and their z-values, whatever the atlas is called."""
    found = sha256()
    for network in range(len(atlas)):
        for layer, z_N in atlas.map_rows(network).items():
            above = np.flatnonzero(np.abs(z_N) > threshold)
            found.update(np.array([network, layer, len(above)], dtype=np.int64).tobytes())
            found.update(above.astype(np.int64).tobytes() + z_N[above].astype(np.float32).tobytes())
    return found.hexdigest()


def direct_effect(
    loaded: LoadedModel,
    atlas: Atlas,
    threshold: float = DEFAULT_THRESHOLD,
    seed: int = 0,
    report: Report = silent,
) -> DirectEffect:
    """The direct logit effect of every network with key neurons, from the store or computed.

    `report` gets the stages "capturing" and "reading out". Raises RequestError for the atlas of another model, a site
    without a direct effect, a model without an unembedding of its own width, and a threshold that no neuron passes.
    """
    check_range(threshold, 0, np.inf, f"The threshold {threshold} is", "choose 0 or more, such as 3", "[)")
    check_seed(seed)
    if atlas.recipe["model_digest"] != loaded.digest:
        raise RequestError(f"This atlas was found in another model than {loaded.name}; load the one it was found in.")
    if sentence := why_not(atlas):
        raise RequestError(sentence)
    recipe = direct_recipe(atlas, threshold, seed, running(loaded))
    assert recipe is not None
    return memo.answered(DIRECT, recipe, lambda: _computed(loaded, atlas, recipe, report)).answer


def _computed(loaded: LoadedModel, atlas: Atlas, recipe: dict[str, Any], report: Report) -> DirectEffect:
    threshold = recipe["threshold"]
    counts_KL = atlas.key_counts(threshold)
    networks = [int(network) for network in np.flatnonzero(counts_KL.sum(axis=1))]
    if not networks:
        raise RequestError(f"No network has a neuron with |z| above {threshold:g}; lower the threshold.")
    head = unembedding(loaded)
    deviations, scales = _text_statistics(loaded, atlas, report)
    z_KL = [
        {layer: np.where(np.abs(z_N) > threshold, z_N, 0.0) for layer, z_N in atlas.map_rows(network).items()}
        for network in networks
    ]
    rng = np.random.default_rng(recipe["seed"])
    drawn = [_random(rows, rng) for rows in z_KL]
    every = [rows for own, sets in zip(z_KL, drawn, strict=True) for rows in (own, *sets)]
    directions_VD = _directions(loaded, atlas, every, deviations, scales)
    starts = np.concatenate([[0], np.cumsum([1 + len(sets) for sets in drawn])])
    ids_K2C, effects_K2C, random_KM2 = [], [], []
    for first in range(0, len(networks), _TOGETHER):
        some = range(first, min(first + _TOGETHER, len(networks)))
        report("reading out", first / len(networks))
        block_VT = _logits(directions_VD[starts[first] : starts[some.stop]], head)
        for network in some:
            own_VT = block_VT[starts[network] - starts[first] : starts[network + 1] - starts[first]]
            kept = min(KEPT, own_VT.shape[1])
            up, down = own_VT[0].topk(kept), own_VT[0].topk(kept, largest=False)
            ids_K2C.append(torch.stack([up.indices, down.indices]).cpu().numpy().astype(np.int32))
            effects_K2C.append(torch.stack([up.values, down.values]).cpu().numpy())
            extremes = torch.stack([own_VT[1:].amax(dim=1), own_VT[1:].amin(dim=1)], dim=1) if len(own_VT) > 1 else None
            random_KM2.append(np.full((DRAWS, 2), np.nan, np.float32) if extremes is None else extremes.cpu().numpy())
    report("reading out", 1.0)
    decode = loaded.tokenizer.decode
    return DirectEffect(
        recipe,
        tuple(networks),
        tuple(atlas.labels[network] for network in networks),
        tuple(cast(Any, tuple(tuple(decode([int(i)]) for i in side) for side in ids_2C)) for ids_2C in ids_K2C),
        np.stack(ids_K2C),
        np.stack(effects_K2C),
        np.stack(random_KM2),
    )


Rows = dict[int, np.ndarray]
"""z-values by layer, zero where a neuron is none of the set."""


def _random(rows: Rows, rng: np.random.Generator) -> list[Rows]:
    """Sets in which other neurons of the same layers have these z-values; none where a layer has too few others."""
    if any(2 * np.count_nonzero(z_N) > len(z_N) for z_N in rows.values()):
        return []
    sets = []
    for _ in range(DRAWS):
        moved = {layer: np.zeros_like(z_N) for layer, z_N in rows.items()}
        for layer, z_N in rows.items():
            own, others = np.flatnonzero(z_N), np.flatnonzero(z_N == 0)
            moved[layer][rng.choice(others, len(own), replace=False)] = z_N[own]
        sets.append(moved)
    return sets


def _text_statistics(loaded: LoadedModel, atlas: Atlas, report: Report) -> tuple[list[Tensor], list[float]]:
    """Per layer, each neuron's standard deviation within passages, (N,), and the mean scale of a norm behind the MLP.

    The scale is 1 where there is no such norm, and where the site lies behind it.
    """
    widths = site_widths(loaded.model, atlas.site)
    norms = norm_behind_mlp(loaded.model) if atlas.site == "mlp" else []
    scales: list[list[Tensor]] = [[] for _ in norms]

    def watch(layer: int, centred: bool) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def seen(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            x = given[0].detach().float()
            x = x - x.mean(dim=-1, keepdim=True) if centred else x
            scales[layer].append(x.square().mean(dim=-1).rsqrt().mean())

        return seen

    variances: list[Tensor] = []
    with ExitStack() as hooks:
        for layer, norm in enumerate(norms):
            _, centred = norm_gain(norm, loaded.model.config.hidden_size)
            hooks.callback(norm.register_forward_pre_hook(watch(layer, centred)).remove)
        for subject in read_subjects(loaded, atlas.passages[:READ], atlas.site, report):
            variances.append(subject.activations_TN.var(dim=0, correction=0))
    deviations = torch.stack(variances).mean(dim=0).sqrt().split(list(widths))
    return list(deviations), [float(torch.stack(seen).mean()) for seen in scales] or [1.0] * len(widths)


def _directions(
    loaded: LoadedModel, atlas: Atlas, every: list[Rows], deviations: list[Tensor], scales: list[float]
) -> Tensor:
    """What each set of neurons adds at the model's end, its norm's weights folded in, (V, D) float32."""
    width, device = loaded.model.config.hidden_size, deviations[0].device
    total_VD = torch.zeros(len(every), width, device=device)
    norms = norm_behind_mlp(loaded.model) if atlas.site == "mlp" else []
    for layer, written_DN in enumerate(_written(loaded, atlas)):
        if not any(layer in rows for rows in every):
            continue
        none = np.zeros(len(deviations[layer]), dtype=np.float32)
        z_VN = torch.from_numpy(np.stack([rows.get(layer, none) for rows in every])).to(device, torch.float32)
        moved_VN = z_VN * deviations[layer]
        added_VD = moved_VN if written_DN is None else moved_VN @ written_DN.to(device, torch.float32).T
        if norms:
            added_VD = scales[layer] * _through(added_VD, norms[layer])
        total_VD += added_VD
    norm = final_norm(loaded.model)
    return total_VD if norm is None else _through(total_VD, norm)


def _written(loaded: LoadedModel, atlas: Atlas) -> Iterator[Tensor | None]:
    """Per layer, what a neuron adds to the residual stream, (D, N); None where neurons are its own dimensions."""
    for tap in taps(loaded.model, atlas.site):
        yield weight_of(cast(Projection, tap.module)) if atlas.site == "mlp" else None


def _through(x_VD: Tensor, norm: nn.Module) -> Tensor:
    """Directions through a norm whose scale is held at 1."""
    gain_D, centred = norm_gain(norm, x_VD.shape[1])
    x_VD = x_VD - x_VD.mean(dim=1, keepdim=True) if centred else x_VD
    return x_VD * gain_D.to(x_VD.device)


def _logits(directions_VD: Tensor, head: Projection) -> Tensor:
    """Every token's logit, in standard deviations over the vocabulary from its mean, (V, tokens) float32."""
    logits_VT = directions_VD @ weight_of(head).to(directions_VD.device, torch.float32).T
    logits_VT -= logits_VT.mean(dim=1, keepdim=True)
    return logits_VT / logits_VT.std(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
