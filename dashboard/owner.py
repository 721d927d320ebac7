"""Who asks: whose jobs these are, so that nobody cancels another person's."""

import hashlib

import streamlit as st
from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

_COOKIE = "_streamlit_xsrf"
"""Streamlit gives one to each browser: a token that stays over refreshes and tabs, behind a mask that changes."""
_MOST = 1000
_of_sessions: dict[str, str] = {}


def current() -> str:
    """The person who is logged in, or else the browser, or else the session: always the same short digest for one."""
    context = get_script_run_ctx()
    session = context.session_id if context else ""
    if st.user.get("is_logged_in") is True:
        who = f"user {st.user.get('sub') or st.user.get('email')}"
    elif isinstance(cookie := st.context.cookies.get(_COOKIE), str) and cookie:
        who = f"browser {_unmasked(cookie)}"
    else:
        who = f"session {session}"
    person = hashlib.sha256(who.encode()).hexdigest()[:16]
    if session:
        _of_sessions[session] = person
    return person


def of_session(session: str) -> str | None:
    """Whose session this is, for the server around the pages; None before one of its pages has asked."""
    if len(_of_sessions) > _MOST and Runtime.exists():
        for ended in [known for known in list(_of_sessions) if not Runtime.instance().is_active_session(known)]:
            _of_sessions.pop(ended, None)
    return _of_sessions.get(session)


def _unmasked(cookie: str) -> str:
    """The token of a cookie "2|mask|masked token|time", all in hexadecimal; another cookie as it is."""
    version, *fields = cookie.split("|")
    try:
        mask, masked = (bytes.fromhex(field) for field in fields[:2])
    except ValueError:
        return cookie
    if version != "2" or not mask:
        return cookie
    return bytes(byte ^ mask[at % len(mask)] for at, byte in enumerate(masked)).hex()
