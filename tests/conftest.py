"""Every test gets its own empty cache folder and one thread; tests of real starters use the real cache and all."""

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

# Read when torch is loaded, which is why nothing above loads it: threads that wait leave the other worker alone.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# numpy's threads as torch's below, and those of children.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


LONG = [
    "tests/test_real_starters.py",
    "tests/compat/test_older.py",
    "tests/pruning/test_cutting.py",
    "tests/lineage/test_fingerprint.py",
    "tests/models/test_structure.py",
    "tests/test_quickstart.py",
    "tests/test_api.py",
]
"""Files of few tests that take or wait long: first, so that no worker is left alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: [*LONG, item.location[0]].index(item.location[0]))


@pytest.fixture(autouse=True)
def own_cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("starter") is None:
        monkeypatch.setenv("FNET_HOME", str(tmp_path / "fnet-home"))


@pytest.fixture(autouse=True)
def one_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tiny models lose more than they win by threads, most of all on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    if request.node.get_closest_marker("starter") is None:
        torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """An event that jobs wait for, set at the end so that no thread stays behind."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A command sets how much is logged in its process, which here goes on with other tests."""
    logger = logging.getLogger("fnet_core")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers
