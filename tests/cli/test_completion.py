"""The script that completes the command line, run in the shell that it is for."""

import builtins
import subprocess
from pathlib import Path

import pytest

from fnet_core.cli import COMMANDS
from fnet_core.cli.main import main


def completed(script: Path, *words: str) -> set[str]:
    """What bash offers for the last word."""
    line = f"source {script}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _shtab_fnet; "
    done = subprocess.run(
        ["bash", "-c", line + 'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_bash_completes_commands_options_and_choices(capsys, tmp_path):
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    assert completed(script, "fnet", "''") >= {command.NAME for command in COMMANDS}
    assert completed(script, "fnet", "atlas", "tiny", "--res") == {"--restarts"}
    assert completed(script, "fnet", "atlas", "--site", "re") == {"residual"}


def test_the_script_for_zsh_names_every_command(capsys):
    assert main(["completion", "zsh"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("#compdef fnet\n") and all(f"{command.NAME}:" in out for command in COMMANDS)


def test_a_missing_package_is_a_sentence(capsys, monkeypatch):
    def without(name, *arguments, imported=builtins.__import__, **options):
        if name == "shtab":
            raise ImportError(name)
        return imported(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["completion", "zsh"]) == 2
    assert "pip install shtab" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_nothing_of_the_script_is_lost_on_the_way_to_the_terminal(shell, capsys):
    import shtab

    from fnet_core.cli.main import parser

    main(["completion", shell])
    assert capsys.readouterr().out.rstrip("\n") == shtab.complete(parser("fnet"), shell).rstrip("\n")
