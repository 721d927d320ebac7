"""Wrong inputs, damaged files, killed processes, and several people at once, counted.

    python -m benchmarks.robustness mutations [--count 1000] [--seed 0]   wrong inputs: statuses, waits, growth
    python -m benchmarks.robustness damage                                every kind of file, damaged in every way
    python -m benchmarks.robustness kills [--count 100]                   killed inside saves and elsewhere
    python -m benchmarks.robustness memory                                computations under a limit on memory
    python -m benchmarks.robustness sessions [--people 8] [--minutes 10]  browsers against one server
    python -m benchmarks.robustness quick                                 some of the first four, as in CI

All on the tiny model, in folders that are removed afterwards. The exit status is 0 where every count meets its aim.
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

PARTS = ("mutations", "damage", "kills", "memory", "sessions", "quick")
QUICK = {"mutations": 40, "damage": 16, "kills": 6}
"""How many cases of each part the quick form takes."""


def main() -> int:
    """Run what was asked for and print the counts as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    if options.part == "sessions":
        from benchmarks.robustness import sessions

        found = {"sessions": sessions.run(options.people, options.minutes)}
    else:
        from benchmarks.robustness import damage, kills, memory, mutations
        from benchmarks.robustness.samples import samples

        runs: dict[str, Callable[..., dict[str, Any]]] = {
            "mutations": mutations.run,
            "damage": damage.run,
            "kills": kills.run,
            "memory": memory.run,
        }
        quick = options.part == "quick"
        with samples() as made:
            found = {
                part: run(made, QUICK.get(part) if quick else options.count, options.seed)
                for part, run in runs.items()
                if options.part in (part, "quick")
            }
    print(json.dumps(found, indent=1))
    return 0 if all(part["met"] for part in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
