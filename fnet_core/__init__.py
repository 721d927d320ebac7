"""FNet for notebooks and scripts: `import fnet_core as fn`.

Every name is loaded when it is first used, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fnet_core._version import __version__

if TYPE_CHECKING:
    from fnet_core.api.capabilities import capabilities, keep_only, lesions
    from fnet_core.api.editing import amplify, inhibit, measure, perplexity
    from fnet_core.api.lineage import audit, changes, compare, derive, fingerprint, independence, scan, secret_probes
    from fnet_core.api.networks import direct_effect, find_atlas, listen, load, recur
    from fnet_core.api.pruning import export, plan_pruning, plan_published, prune
    from fnet_core.api.reports import bundle, label, replay, report
    from fnet_core.given import passages
    from fnet_core.networks.atlas import Atlas

__all__ = [
    "Atlas",
    "__version__",
    "amplify",
    "audit",
    "bundle",
    "capabilities",
    "changes",
    "compare",
    "derive",
    "direct_effect",
    "export",
    "find_atlas",
    "fingerprint",
    "independence",
    "inhibit",
    "keep_only",
    "label",
    "lesions",
    "listen",
    "load",
    "measure",
    "passages",
    "perplexity",
    "plan_pruning",
    "plan_published",
    "prune",
    "recur",
    "replay",
    "report",
    "scan",
    "secret_probes",
]

_HOMES = {
    "Atlas": "fnet_core.networks.atlas",
    "passages": "fnet_core.given",
    **dict.fromkeys(("capabilities", "keep_only", "lesions"), "fnet_core.api.capabilities"),
    **dict.fromkeys(("direct_effect", "find_atlas", "listen", "load", "recur"), "fnet_core.api.networks"),
    **dict.fromkeys(("amplify", "inhibit", "measure", "perplexity"), "fnet_core.api.editing"),
    **dict.fromkeys(("export", "plan_pruning", "plan_published", "prune"), "fnet_core.api.pruning"),
    **dict.fromkeys(
        ("audit", "changes", "compare", "derive", "fingerprint", "independence", "scan", "secret_probes"),
        "fnet_core.api.lineage",
    ),
    **dict.fromkeys(("bundle", "label", "replay", "report"), "fnet_core.api.reports"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    found = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
