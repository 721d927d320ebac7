"""Whom the dashboard answers, and when it asks for login."""

import pytest

from fnet_core.errors import RequestError
from fnet_core.serving import check_reach, has_login, host_of, is_local, named_hosts, named_roots

AUTH = '[auth]\nredirect_uri = "https://a.example/oauth2callback"\ncookie_secret = "secret"\n'


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8501", "localhost"),
        ("[::1]:8501", "::1"),
        ("a.example.", "a.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("", None),
        (":8501", None),
        ("localhost:port", None),
        ("localhost:99999999", None),
        ("user@localhost", None),
        ("localhost/path", None),
        ("localhost?x", None),
        ("localhost#x", None),
        ("local\thost", None),
        ("[::1", None),
    ],
)
def test_the_name_in_a_host_header(header, host):
    assert host_of(header) == host


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_addresses_of_this_machine_alone(address):
    assert is_local(address)


@pytest.mark.parametrize("address", [None, "", "0.0.0.0", "::", "192.168.1.7", "a.example", "unix:///tmp/socket"])
def test_addresses_that_others_may_reach(address):
    assert not is_local(address)


def test_names_and_roots_of_the_variables(monkeypatch, tmp_path):
    for name in ("FNET_HOSTS", "FNET_MODEL_ROOTS"):
        monkeypatch.delenv(name, raising=False)
    assert named_hosts() == frozenset() and named_roots() == ()
    monkeypatch.setenv("FNET_HOSTS", " A.example,,b.example ")
    monkeypatch.setenv("FNET_MODEL_ROOTS", f"{tmp_path}:")
    assert named_hosts() == {"a.example", "b.example"} and named_roots() == (tmp_path,)


@pytest.mark.parametrize(
    "text",
    ["", "[auth]\n", '[auth]\nredirect_uri = "x"\n', 'auth = "x"\n', "not toml [", AUTH.replace("auth", "other")],
)
def test_secrets_without_login(text, tmp_path):
    (tmp_path / "secrets.toml").write_text(text)
    assert not has_login([tmp_path / "secrets.toml", tmp_path / "missing.toml"])


def test_login_or_a_word_opens_the_dashboard_to_others(tmp_path, monkeypatch):
    secrets = tmp_path / "secrets.toml"
    for address, hosts in (("0.0.0.0", []), ("localhost", ["a.example"]), (None, [])):
        with pytest.raises(RequestError, match="nobody would have to log in"):
            check_reach(address, hosts, [secrets], False)
        check_reach(address, hosts, [secrets], True)
    check_reach("localhost", ["localhost"], [secrets], False)
    secrets.write_text(AUTH)
    monkeypatch.setattr("fnet_core.serving.find_spec", lambda name: name)
    check_reach("0.0.0.0", [], [secrets], False)
