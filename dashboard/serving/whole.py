"""A library that puts another module in its place while it loads is loaded whole, so that threads cannot meet in it.

transformers replaces itself in `sys.modules` by a module that loads its parts when they are first asked for. A thread
that imports it meanwhile waits, and is then left with the module that was replaced: "cannot import name". And two
threads that begin at different parts, which import each other, can be handed one that is not finished. Here the first
thread that imports the package loads its parts too, while the others wait, and what was replaced passes on.
"""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

PARTS = {
    "transformers": (
        "transformers.modeling_utils",
        "transformers.models.auto.modeling_auto",
        "transformers.models.auto.tokenization_auto",
        "transformers.tokenization_utils_tokenizers",
    )
}
"""The modules that between them import what FNet uses of a package."""


class Whole(MetaPathFinder):
    """Finds the packages named, each of which is loaded with its parts."""

    def __init__(self, parts: Mapping[str, Sequence[str]]) -> None:
        self._parts = parts

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a package that is named, with a loader that goes on to its parts; None for any other."""
        if fullname not in self._parts or (spec := PathFinder.find_spec(fullname, path, target)) is None:
            return None
        if spec.loader is not None:
            spec.loader = _WithParts(spec.loader, self._parts[fullname])
        return spec


class _WithParts(Loader):
    def __init__(self, loader: Loader, parts: Sequence[str]) -> None:
        self._loader, self._parts = loader, parts

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)  # what else a package's own loader can do: its resources, its source

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        if (placed := sys.modules[module.__name__]) is not module:
            module.__dict__["__getattr__"] = partial(getattr, placed)
        for part in self._parts:
            import_module(part)


def load_whole() -> None:
    """From now on the packages of `PARTS` are loaded whole in this process."""
    sys.meta_path.insert(0, Whole(PARTS))
