"""Where login is set up, nobody sees a page or reaches a button of it before."""

from types import SimpleNamespace

import pytest
from support.pages import page

from dashboard import owner
from dashboard.serving import login

REAL = owner.current  # before tests put a name in its place


@pytest.fixture
def auth(monkeypatch) -> dict:
    settings = {"redirect_uri": "x", "cookie_secret": "y"}
    monkeypatch.setattr(login, "settings", lambda: settings)
    return settings


@pytest.mark.parametrize("name", ["app", "model", "networks", "intervene", "prune", "compare"])
def test_every_page_asks_for_login_first(auth, name):
    at = page(name)
    assert [button.key for button in at.button] == ["login_None"]
    assert not at.text_input and not at.selectbox and not at.sidebar.get("page_link")


def test_a_button_for_each_provider(auth):
    auth |= {"google": {"client_id": "a"}, "work": {"client_id": "b"}}
    assert [button.label for button in page("model").button] == ["Log in with google", "Log in with work"]


def test_without_it_nobody_is_asked():
    assert not [button for button in page("model").button if (button.key or "").startswith(("login", "logout"))]


def test_the_settings_are_the_part_auth_of_the_secrets(monkeypatch):
    assert login.settings() == {}
    secrets = {"auth": {"redirect_uri": "x"}}
    held = SimpleNamespace(load_if_toml_exists=lambda: bool(secrets), get=secrets.get)
    monkeypatch.setattr(login, "secrets_singleton", held)
    assert login.settings() == {"redirect_uri": "x"}
    secrets.clear()
    assert login.settings() == {}


def test_a_session_belongs_to_somebody_once_its_page_has_asked(auth, monkeypatch):
    monkeypatch.setattr(owner, "_of_sessions", {})
    monkeypatch.setattr(owner, "current", REAL)
    page("model")
    assert owner._of_sessions == {}  # who has not logged in can upload nothing
    auth.clear()
    page("model")
    ((session, person),) = owner._of_sessions.items()
    assert owner.of_session(session) == person and owner.of_session("another") is None
