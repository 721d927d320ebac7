"""`dashboard`: what it starts, and what it says when it cannot."""

import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

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
    monkeypatch.setattr(subprocess, "Popen", lambda line: started.append(line) or ended_with(0))
    assert main(["dashboard", "--port", "8765", "--address", "0.0.0.0"]) == 0
    assert started == [
        [
            *(sys.executable, "-m", "streamlit", "run", str(APP)),
            *("--server.headless=true", "--server.port=8765", "--server.address=0.0.0.0"),
        ]
    ]


def test_a_dashboard_that_fails_is_a_failure(monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "Popen", lambda line: ended_with(3))
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
