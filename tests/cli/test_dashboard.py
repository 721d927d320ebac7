"""`dashboard`: what it starts, and what it says when it cannot."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from fnet_core._version import __version__
from fnet_core.assets import APP, ASSETS
from fnet_core.cli import dashboard
from fnet_core.cli.main import main


def test_the_start_script_and_the_files_beside_the_code_are_there():
    assert APP.is_file() and (APP.parent / "pages" / "networks.py").is_file()
    assert (APP.parent / ".streamlit" / "config.toml").is_file()
    assert (ASSETS / "reference_pairs.json").is_file()


def test_it_starts_streamlit_on_the_app(monkeypatch, capsys):
    started = []
    monkeypatch.setattr(subprocess, "run", lambda line, check: started.append(line) or SimpleNamespace(returncode=0))
    assert main(["dashboard", "--port", "8765", "--address", "0.0.0.0"]) == 0
    assert started == [
        [
            *(sys.executable, "-m", "streamlit", "run", str(APP)),
            *("--server.headless=true", "--server.port=8765", "--server.address=0.0.0.0"),
        ]
    ]


def test_a_dashboard_that_fails_is_a_failure(monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", lambda line, check: SimpleNamespace(returncode=3))
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
