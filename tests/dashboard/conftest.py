"""Pages share the server's caches and jobs: every test starts without any."""

from collections.abc import Iterator

import pytest
import streamlit as st

from fnet_core.jobs import manager


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
