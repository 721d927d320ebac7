"""`dashboard`: what it starts, and what it says when it cannot."""

import os
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from fnet_core import serving
from fnet_core._version import __version__
from fnet_core.assets import APP, ASSETS
from fnet_core.cli import dashboard
from fnet_core.cli.main import main


def ended_with(status: int) -> SimpleNamespace:
    return SimpleNamespace(wait=lambda: status, terminate=lambda: None)


def test_the_server_ends_with_the_command(monkeypatch):
    """A killed command leaves no server behind."""
    sleeping = "import time; print('up', flush=True); time.sleep(60)"
    program = (
        "from fnet_core.cli import dashboard, main; import sys\n"
        f"dashboard.command = lambda *_: [sys.executable, '-c', {sleeping!r}]\n"
        "main.main(['dashboard'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=APP.parent, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout.readline() == "up\n"
        (server,) = psutil.Process(started.pid).children()
        started.terminate()
        assert started.wait(30) == 0
        psutil.wait_procs([server], timeout=10)
        assert not server.is_running()


def test_the_start_script_and_the_files_beside_the_code_are_there():
    assert APP.is_file() and (APP.parent / "pages" / "networks.py").is_file()
    assert (APP.parent / ".streamlit" / "config.toml").is_file()
    assert (ASSETS / "reference_pairs.json").is_file()


def test_it_starts_streamlit_on_the_app(monkeypatch, capsys):
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda line, **_: started.append(line) or ended_with(0))
    assert main(["dashboard", "--port", "8765", "--address", "0.0.0.0", "--open-to-anyone"]) == 0
    assert started == [
        [
            *(sys.executable, "-m", "streamlit", "run", str(APP)),
            *("--server.headless=true", "--server.port=8765", "--server.address=0.0.0.0"),
        ]
    ]


def started_with(monkeypatch, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of the server that `fnet dashboard` starts."""
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda line, **more: started.append((line, more)) or ended_with(0))
    assert main(["dashboard", *arguments]) == 0
    ((line, more),) = started
    assert more["stdin"] == subprocess.PIPE
    return line, more["env"]


def test_roots_and_hosts_are_handed_on_beside_those_of_the_variables(monkeypatch, tmp_path):
    monkeypatch.setenv("FNET_MODEL_ROOTS", str(tmp_path))
    monkeypatch.setenv("FNET_HOSTS", "one.example")
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path)
    options = ("--root", "inside", "--host", "Two.example", "--open-to-anyone")
    line, env = started_with(monkeypatch, *options)
    assert env["FNET_MODEL_ROOTS"].split(os.pathsep) == [str(tmp_path), str(tmp_path / "inside")]
    assert env["FNET_HOSTS"] == "one.example,two.example" and env["FNET_OPEN_TO_ANYONE"] == "1"
    assert not [part for part in line if "address" in part]  # the configuration says localhost
    assert os.environ["FNET_HOSTS"] == "one.example"


def test_nobody_is_let_in_without_login_or_a_word(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(dashboard, "_secrets", lambda: [tmp_path / "secrets.toml"])
    for options in (["--serve"], ["--address", "0.0.0.0"], ["--address", "::"], ["--host", "fnet.example.org"]):
        assert main(["dashboard", *options]) == 2
        assert "say --open-to-anyone" in capsys.readouterr().err
    line, _ = started_with(monkeypatch, "--serve", "--open-to-anyone")
    assert line[-1] == "--server.address=0.0.0.0"
    (tmp_path / "secrets.toml").write_text('[auth]\nredirect_uri = "x"\ncookie_secret = "y"\n')
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    assert main(["dashboard", "--serve"]) == 2
    assert "pip install Authlib" in capsys.readouterr().err
    monkeypatch.setattr(serving, "find_spec", lambda name: name)
    assert started_with(monkeypatch, "--serve")[0][-1] == "--server.address=0.0.0.0"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--root", "/no/such"], "--root /no/such is no folder"),
        (["--host", "https://a.example"], "is no name of a machine"),
        (["--host", "a.example:80"], "is no name of a machine"),
        (["--host", ""], "is no name of a machine"),
    ],
)
def test_a_wrong_root_or_host(options, sentence, capsys):
    assert main(["dashboard", *options]) == 2
    assert sentence in capsys.readouterr().err


def test_a_dashboard_that_fails_is_a_failure(monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "Popen", lambda line, **_: ended_with(3))
    assert main(["dashboard"]) == 1
    assert "the dashboard ended with status 3" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "70000", "-1"])
def test_a_port_out_of_range(port, capsys):
    assert main(["dashboard", "--port", port]) == 2
    assert "out of range; choose 1 to 65535" in capsys.readouterr().err


def test_without_streamlit_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(dashboard, "find_spec", lambda name: None)
    assert main(["dashboard"]) == 2
    assert "pip install streamlit" in capsys.readouterr().err


def test_the_version(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0 and capsys.readouterr().out == f"FNet {__version__}\n"
