"""Libraries of models are loaded in a quiet moment, once, and only where people are served."""

import time

import pytest

from dashboard import warming


@pytest.fixture
def loaded(monkeypatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(warming, "import_module", names.append)
    monkeypatch.setattr(warming, "QUIET_SECONDS", 0.2)
    monkeypatch.setattr(warming, "_allowed", False)
    monkeypatch.setattr(warming, "_timer", None)
    return names


def wait_for(names: list[str]) -> None:
    for _ in range(200):
        if names:
            return
        time.sleep(0.02)


def test_a_quiet_moment_after_the_last_page_loads_them_once(loaded, monkeypatch):
    warming.page_drawn()
    assert warming._timer is None
    warming.allow()
    warming.page_drawn()
    first = warming._timer
    warming.page_drawn()
    assert first.finished.is_set() and not loaded
    wait_for(loaded)
    assert loaded == ["fnet_core.networks.finding"]
    last = warming._timer
    warming.page_drawn()
    assert warming._timer is last
