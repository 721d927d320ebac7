"""An atlas in words and numbers: the command line's JSON, and what a notebook shows of it."""

from typing import TYPE_CHECKING, Any

from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.networks.recurrence import LEVELS

if TYPE_CHECKING:
    from fnet_core.networks.atlas import Atlas

_SHOWN = 5
"""Networks that a notebook lists, the largest first."""


def summary_of(atlas: "Atlas", threshold: float) -> dict[str, Any]:
    """What `Atlas.summary` gives: the networks with their key neurons at abs(z) above `threshold`, and the recipe."""
    table = atlas.table(threshold)
    counts_KL = atlas.key_counts(threshold)
    return {
        "model": atlas.model_name,
        "site": atlas.site,
        "scope": atlas.scope,
        "threshold": threshold,
        "networks": [
            {
                "id": int(row["network"]),
                "label": row["label"],
                **_said(atlas, row["network"]),
                "variance": float(row["variance"]),
                "stability": float(row["stability"]),
                **{name: row[name] for name in ("recurrence", "trusted") if name in row},
                "key_neurons": int(row["key_neurons"]),
                "layers": {int(i): int(counts_L[i]) for i in counts_L.nonzero()[0]},
            }
            for row in table.to_dict("records")
            for counts_L in [counts_KL[row["network"]]]
        ],
        "passages": len(atlas.passages),
        "tokens": atlas.tokens,
        "converged": atlas.converged,
        "seconds": atlas.seconds,
        "peak_memory_bytes": atlas.peak_memory_bytes,
        "recipe": atlas.recipe,
    }


def _said(atlas: "Atlas", network: int) -> dict[str, str]:
    """What a person said of a network, with the automatic label; nothing where nobody said anything."""
    said = atlas.annotations.get(network)
    return {"automatic": atlas.labels[network], "verdict": said.verdict, "note": said.note} if said else {}


def facts_of(atlas: "Atlas") -> dict[str, object]:
    """What an atlas says of itself in a notebook, by name."""
    table = atlas.table(DEFAULT_THRESHOLD).head(_SHOWN)
    facts: dict[str, object] = {
        "networks": f"{len(atlas)}, scope {atlas.scope}, seed {atlas.recipe.get('seed')}",
        "text": f"{atlas.tokens:,} tokens in {len(atlas.passages)} passages",
        "neurons": f"{sum(atlas.widths_L):,} in {atlas.layer_count} layers",
    }
    for row in table.itertuples():
        facts[f"network {row.network}"] = (
            f"{row.label}: {row.variance:.2%} of the variance, stability {row.stability:.2f}, "
            + (f"recurrence {row.recurrence:.2f}, " if atlas.halves is not None else "")
            + f"{row.key_neurons:,} key neurons"
        )
    if len(atlas) > len(table):
        facts["more"] = f"{len(atlas) - len(table)} networks; .table(threshold) lists all, .plot_map(0) draws one"
    if atlas.trusted_K is not None:
        facts["trusted"] = f"{int(atlas.trusted_K.sum())} of {len(atlas)} networks: {LEVELS}"
    return facts
