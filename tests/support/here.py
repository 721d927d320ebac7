"""A GGUF file converted in the test's own process, which has the libraries, instead of a child that loads them anew."""

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from fnet_core.models.sources import gguf
from fnet_core.models.sources.child import Finished


def convert_here(patch: pytest.MonkeyPatch) -> None:
    """Conversions run in this process from now on, with what they say and how they end; nothing can kill them."""

    def run(module: str, arguments: Sequence[str | Path], watch: Callable[[str], None]) -> Finished:
        assert module == gguf.__name__
        with redirect_stdout(io.StringIO()) as said:
            status = gguf.main([str(argument) for argument in arguments])
        watch(said.getvalue())
        return Finished(status, said.getvalue())

    patch.setattr(gguf, "run_module", run)
