"""Fewer of the bundled passages, for tests that ask how something is done and not what comes out of so much text."""

import pytest

from fnet_core import texts

FEW = 8


def few_passages(patch: pytest.MonkeyPatch) -> None:
    """From now on every set of bundled passages ends after the first few."""
    written = texts._written
    patch.setattr(texts, "_written", lambda folder: written(folder)[:FEW])
