"""How much of each functional network a pruning plan keeps.

Shape legend: K networks.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.pruning.plan import PrunePlan


@dataclass(frozen=True, eq=False)
class Survival:
    """What share of each network of an atlas a plan keeps, beside the share that it keeps of all neurons."""

    label_K: tuple[str, ...]
    key_neurons_K: np.ndarray
    """int64: neurons with abs(z) above the threshold."""
    kept_K: np.ndarray
    """float64 share of the key neurons that stay; NaN where there are none."""
    kept_energy_K: np.ndarray
    """float64 share of the summed z squared of the whole map that stays."""
    overall: float
    """Share of all neurons that stays, which is what a random plan keeps of each network."""

    def table(self) -> list[dict[str, Any]]:
        """One row per network."""
        return [
            {
                "network": k,
                "label": self.label_K[k],
                "key_neurons": int(self.key_neurons_K[k]),
                "kept": float(self.kept_K[k]),
                "kept_energy": float(self.kept_energy_K[k]),
            }
            for k in range(len(self.label_K))
        ]


def network_survival(atlas: Atlas, plan: PrunePlan, threshold: float) -> Survival:
    """How much of each functional network survives a plan; RequestError unless the atlas is of this model's MLPs."""
    if atlas.site != "mlp" or tuple(atlas.widths_L) != plan.anatomy.widths_L:
        raise RequestError("Survival is counted in an atlas of this model at site mlp; choose such an atlas.")
    if atlas.recipe.get("model_digest", plan.anatomy.model_digest) != plan.anatomy.model_digest:
        raise RequestError("The atlas was found in another model; find the networks of this model first.")
    keys, kept, energy = [], [], []
    for network in range(len(atlas)):
        rows = atlas.map_rows(network)
        z = np.concatenate(list(rows.values())).astype(np.float64)
        stays = np.concatenate([plan.keep_mlp[layer] for layer in rows])
        key = np.abs(z) > threshold
        keys.append(int(key.sum()))
        kept.append(stays[key].mean() if key.any() else np.nan)
        energy.append((z[stays] ** 2).sum() / (z**2).sum())
    overall = 1 - plan.removed_neurons / sum(plan.anatomy.widths_L)
    return Survival(tuple(atlas.labels), np.array(keys), np.array(kept), np.array(energy), overall)


def random_kept(atlas: Atlas, plan: PrunePlan, threshold: float) -> np.ndarray:
    """What removing as many neurons of each layer at random keeps of each network's key neurons, (K,) float64 share.

    NaN where a network has none.
    """
    counts_KL = atlas.key_counts(threshold)
    share_L = np.array([keep.mean() for keep in plan.keep_mlp])
    keys_K = counts_KL.sum(axis=1)
    return np.divide(counts_KL @ share_L, keys_K, out=np.full(len(keys_K), np.nan), where=keys_K > 0)


def survival_table(found: Survival, random_K: np.ndarray) -> pd.DataFrame:
    """One row per network, shares from 0 to 1: network, label, key_neurons, kept, random, beyond, kept_energy.

    `random` is what a random cut keeps, `beyond` what the plan keeps more than that.
    """
    table = pd.DataFrame(found.table())
    table["random"] = random_K
    table["beyond"] = table["kept"] - random_K
    return table[["network", "label", "key_neurons", "kept", "random", "beyond", "kept_energy"]]
