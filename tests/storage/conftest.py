"""The cache folder has a name of its own, which the tests of the store look for."""

from pathlib import Path

import pytest

from fnet_core.storage import artifacts


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FNET_HOME", str(tmp_path / "cache"))
    return artifacts.home()
