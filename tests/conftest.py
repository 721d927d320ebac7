"""Every test gets its own empty cache folder; only tests of real starters use the real one, to fetch once."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("starter") is None:
        monkeypatch.setenv("FNET_HOME", str(tmp_path / "fnet-home"))
