"""How many relatives of real models does the short vector miss? Each derived model against all models of a table.

    python -m benchmarks.lineage_table --models DIR --texts WIKI CODE --work WORK
    python -m benchmarks.shortlist --work WORK [--nearest 1 5 10 20]

For every derived pair: where the one stands among all fingerprints but the other's own, by the vector of
`lineage.nearest`; per way, how many are among the nearest N and the worst place.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.lineage_table import bound
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.nearest import Vectors, vector_of


def places(work: Path) -> tuple[int, dict[str, list[int]]]:
    """Fingerprints of the table, and for each way the place of the relative, from 1, of both sides of every pair."""
    found = {path.stem: vector_of(Fingerprint.load(path)) for path in sorted((work / "prints").glob("*.safetensors"))}
    names = list(found)
    vectors_FD = np.stack(list(found.values()))
    order_FF, _ = Vectors.of(names, vectors_FD).nearest(vectors_FD, len(names))
    ranked = {name: [names[at] for at in row if names[at] != name] for name, row in zip(names, order_FF, strict=True)}
    listed: dict[str, list[int]] = defaultdict(list)
    for path in sorted((work / "pairs").glob("*.json")):
        pair = json.loads(path.read_text("utf-8"))
        if pair["how"] != "independent" and {pair["a"], pair["b"]} <= set(names):
            for one, other in ((pair["a"], pair["b"]), (pair["b"], pair["a"])):
                listed[pair["how"]].append(ranked[one].index(other) + 1)
    return len(names), dict(listed)


def main() -> None:
    """Print a row per way, and one for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--nearest", type=int, nargs="+", default=[1, 5, 10, 20])
    options = parser.parse_args()
    count, listed = places(options.work)
    print(f"{count} fingerprints\n")
    print(f"| how | searches | {' | '.join(f'among the {n} nearest' for n in options.nearest)} | worst place |")
    print("|---|---|" + "---|" * len(options.nearest) + "---|")
    for how, ranks in (listed | {"all": [rank for each in listed.values() for rank in each]}).items():
        shares = " | ".join(str(sum(rank <= n for rank in ranks)) for n in options.nearest)
        print(f"| {how} | {len(ranks)} | {shares} | {max(ranks)} |")
    everything = [rank for each in listed.values() for rank in each]
    for n in options.nearest:
        missed = sum(rank > n for rank in everything)
        print(
            f"missed among the {n} nearest: {missed} of {len(everything)}, at most {bound(missed, len(everything)):.1%}"
        )


if __name__ == "__main__":
    main()
