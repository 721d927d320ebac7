"""Pages share the server's caches: every test starts without any."""

import pytest
import streamlit as st


@pytest.fixture(autouse=True)
def empty_caches():
    st.cache_data.clear()
    st.cache_resource.clear()
