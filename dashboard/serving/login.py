"""Logging in, where the secrets of whoever starts the server say how: nothing is drawn for anybody else."""

from functools import partial
from typing import Any

import streamlit as st
from streamlit.runtime.secrets import secrets_singleton


def settings() -> dict[str, Any]:
    """The part [auth] of Streamlit's secrets; empty where nobody has to log in."""
    found = secrets_singleton.get("auth") if secrets_singleton.load_if_toml_exists() else None
    return dict(found) if found else {}


def ask() -> None:
    """Draw the buttons that log in and end this run, unless the person has logged in or nobody has to."""
    auth = settings()
    if not auth or st.user.get("is_logged_in") is True:
        return
    st.title("FNet", anchor=False)
    st.caption("Open a language model like a brain scan. Who may come in is decided by whoever runs this server.")
    providers: list[str | None] = [
        name for name, value in auth.items() if hasattr(value, "keys") and "client_id" in value
    ]
    for name in providers or [None]:
        label = f"Log in with {name}" if name else "Log in"
        st.button(label, key=f"login_{name}", type="primary", icon=":material/login:", on_click=partial(st.login, name))
    st.stop()


def leave() -> None:
    """Who is logged in and the button that logs out, where there is login."""
    if not settings():
        return
    st.space("small")
    st.caption("Logged in")
    st.text(st.user.get("email") or st.user.get("name") or "without a name")
    st.button("Log out", key="logout", icon=":material/logout:", type="tertiary", on_click=st.logout)
