"""FNet for notebooks and scripts: `import fnet_core as fn`.

Every name is loaded when it is first used, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fnet_core._version import __version__

if TYPE_CHECKING:
    from fnet_core.api import (
        amplify,
        audit,
        changes,
        compare,
        derive,
        direct_effect,
        export,
        find_atlas,
        fingerprint,
        independence,
        inhibit,
        listen,
        load,
        measure,
        perplexity,
        plan_pruning,
        plan_published,
        prune,
        recur,
        scan,
        secret_probes,
    )
    from fnet_core.api_capabilities import capabilities, keep_only, lesions
    from fnet_core.api_reports import bundle, label, replay, report
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

_ELSEWHERE = {
    "Atlas": "fnet_core.networks.atlas",
    "passages": "fnet_core.given",
    **dict.fromkeys(("capabilities", "keep_only", "lesions"), "fnet_core.api_capabilities"),
    **dict.fromkeys(("bundle", "label", "replay", "report"), "fnet_core.api_reports"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _ELSEWHERE.get(name, "fnet_core.api")
    found = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
