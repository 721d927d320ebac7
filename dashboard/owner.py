"""Who asks: whose jobs these are, so that nobody cancels another person's."""

import hashlib

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

_COOKIE = "_streamlit_xsrf"
"""Streamlit gives one to each browser, which keeps it over refreshes and tabs."""


def current() -> str:
    """The person who is logged in, or else the browser, or else the session: always the same short digest for one."""
    if st.user.get("is_logged_in"):
        who = f"user {st.user.get('sub') or st.user.get('email')}"
    elif cookie := st.context.cookies.get(_COOKIE):
        who = f"browser {cookie}"
    else:
        context = get_script_run_ctx()
        who = f"session {context.session_id if context else ''}"
    return hashlib.sha256(who.encode()).hexdigest()[:16]
