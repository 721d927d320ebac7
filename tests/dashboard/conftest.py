"""Pages share the server's caches and jobs: every test starts without any."""

from collections.abc import Iterator

import pytest
import streamlit as st
from support.compare_page import A
from support.fingerprints import hand_reference

from dashboard import owner
from fnet_core.jobs import manager
from fnet_core.lineage import comparison


@pytest.fixture(autouse=True)
def empty_caches():
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture(autouse=True)
def own_jobs() -> Iterator[None]:
    """No test leaves a job to the next one, whose store is another."""
    yield
    for job in manager().active():
        manager().cancel(job.id)
        manager().wait(job.id, 60)


@pytest.fixture(autouse=True)
def person(monkeypatch) -> list[str]:
    """Who asks: the sessions of a test are tabs of one person, until the test puts somebody else's name in here."""
    name = ["anna"]
    monkeypatch.setattr(owner, "current", lambda: name[0])
    return name


@pytest.fixture
def with_reference(monkeypatch):
    monkeypatch.setattr(comparison, "load_reference", lambda: hand_reference(A.protocol_digest))
