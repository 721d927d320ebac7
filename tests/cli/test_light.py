"""Help, the version and refused command lines load none of the libraries that take seconds."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.atlases import hand_atlas

from fnet_core.choices import METHOD_NAMES, WAY_EXAMPLES
from fnet_core.cli import COMMANDS
from fnet_core.cli.main import parser
from fnet_core.derivation.derive import WAYS
from fnet_core.pruning.methods import METHODS

ROOT = Path(__file__).parents[2]
SLOW = ("torch", "transformers", "streamlit", "pandas", "plotly", "sklearn", "scipy", "accelerate")
PROGRAM = f"""
import sys
from fnet_core.cli.main import main
try:
    status = main(sys.argv[1:])
except SystemExit as left:
    status = left.code
print("status", status, [name for name in {SLOW!r} if name in sys.modules])
"""
MANY = f"""
import io, json, sys
from contextlib import redirect_stderr
from fnet_core.cli.main import main
found = []
for arguments in json.loads(sys.argv[1]):
    before = set(sys.modules)
    with redirect_stderr(io.StringIO()) as err:
        status = main(arguments)
    found.append((status, [name for name in {SLOW!r} if name in sys.modules.keys() - before], err.getvalue()))
print(json.dumps(found))
"""


def run(*arguments: str) -> tuple[int, list[str], str]:
    """Exit status, slow libraries that were loaded, and stderr."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    _, status, loaded = done.stdout.strip().splitlines()[-1].split(" ", 2)
    return int(status), eval(loaded), done.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), *((c.NAME, "--help") for c in COMMANDS)])
def test_help_and_version(arguments):
    assert run(*arguments)[:2] == (0, [])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "required: COMMAND"),
        (("scan",), "invalid choice: 'scan'"),
        (("atlas",), "required: MODEL"),
        (("atlas", "tiny", "--site", "skull"), "invalid choice: 'skull'"),
        (("atlas", "tiny", "--components", "many"), "invalid int value: 'many'"),
        (("atlas", "tiny", "--threshold", "-1"), "out of range; choose 0 or more"),
        (("atlas", "tiny", "--passages", "0"), "--passages 0 is out of range"),
        (("prune", "tiny", "--method", "guess"), "invalid choice: 'guess'"),
        (("compare", "tiny"), "required: B"),
        (("derive", "tiny", "--how", "noise:0.1"), "required: --out"),
        (("recur", "tiny", "--components", "0"), "0 components is out of range"),
        (("recur", "/no/such"), "no folder /no/such"),
        (("recur", "tiny", "--csv", "/dev/null"), "a device or a pipe"),
        (("dashboard", "--port", "0"), "choose 1 to 65535"),
        (("atlas", "tiny", "--components", "0"), "0 components is out of range"),
        (("atlas", "tiny", "--restarts", "1"), "1 restarts is out of range"),
        (("atlas", "tiny", "--seed", "-1"), "seed -1 is out of range"),
        (("atlas", "tiny", "--texts", "missing"), "no text file 'missing'"),
        (("atlas", "/no/such"), "no folder /no/such"),
        (("atlas", "nothing"), "no starter 'nothing'"),
        (("atlas", "tiny", "--site", "experts"), "A llama model has no experts"),
        (("recur", "tiny", "--passages", "3"), "3 passages are too few to split into halves"),
        (("models", "/no/such"), "no folder /no/such"),
        (("atlas", "/no/such.gguf"), "no file /no/such.gguf"),
        (("atlas", "tiny", "--out", ""), "name a file"),
        (("atlas", "tiny", "--csv", "/dev/null"), "a device or a pipe"),
        (("perplexity", "tiny", "--text", "missing"), "no text file 'missing'"),
        (("perplexity", "tiny", "--texts", "/dev/zero"), "a device or a pipe"),
        (("perplexity", "tiny", "--window", "1"), "A window of 1 tokens is out of range"),
        (("perplexity", "tiny", "--window", "64", "--stride", "65"), "choose 1 to the window, 64"),
        (("perplexity", "/no/such"), "no folder /no/such"),
        (("edit", "tiny", "--gain", "1=0"), "Give an atlas with --atlas"),
        (("edit", "tiny", "--atlas", "/no/atlas", "--gain", "1=0"), "no file /no/atlas"),
        (("edit", "tiny", "--atlas", "/no/atlas", "--gain", "one=0"), "'one=0' does not name a network"),
        (("edit", "tiny", "--atlas", "/no/atlas", "--gain", "1=101"), "A gain of 101.0 is out of range"),
        (("edit", "tiny", "--atlas", "/no/atlas", "--offset", "1=inf"), "An offset of inf is not a number"),
        (("edit", "tiny", "--load", "/dev/zero"), "a device or a pipe"),
        (("edit", "tiny", "--load", "README.md", "--save", "docs"), "docs is a folder"),
        (("prune", "tiny", "--ratio", "7"), "ratio of 7 is out of range"),
        (("prune", "tiny"), "either a ratio or a threshold"),
        (("prune", "tiny", "--ratio", "0.1", "--components", "0"), "0 components are out of range"),
        (("prune", "tiny", "--ratio", "0.1", "--calibration", "missing"), "no text file 'missing'"),
        (("prune", "tiny", "--ratio", "0.1", "--out", "docs"), "docs exists already"),
        (("prune", "/no/such", "--ratio", "0.1"), "no folder /no/such"),
        (("fingerprint", "tiny", "--components", "0"), "0 components is out of range"),
        (("fingerprint", "tiny", "--out", "/dev/null"), "a device or a pipe"),
        (("compare", "/no/a", "/no/b"), "no folder /no/a"),
        (("compare", "/no/a.safetensors", "tiny"), "no file /no/a.safetensors"),
        (("compare", "tiny", "tiny", "--resamples", "3"), "3 resamples are out of range"),
        (("independence", "tiny", "tiny", "--neurons", "5"), "5 neurons are out of range"),
        (("independence", "tiny", "/no/b"), "no folder /no/b"),
        (("derive", "tiny", "--how", "merge:/no/other", "--out", "new"), "no folder /no/other"),
        (("derive", "tiny", "--how", "noise:7", "--out", "new"), "noise '7' is out of range"),
        (("derive", "tiny", "--how", "noise:0.1", "--out", "docs"), "docs exists already"),
        (("derive", "tiny", "--how", "finetune:missing", "--out", "new"), "no text file 'missing'"),
        (("derive", "tiny", "--how", "lora:README.md", "--out", "new", "--steps", "0"), "number of steps, 0"),
    ],
)
def test_refusals(arguments, sentence):
    status, loaded, err = run(*arguments)
    assert (status, loaded) == (2, []) and sentence in err and err.count("\n") == 1


COMMANDS_OF_MODELS = {
    "atlas": ("gemma3-270m",),
    "recur": ("gemma3-270m",),
    "perplexity": ("gemma3-270m",),
    "listen": ("gemma3-270m", "--atlas", "ATLAS", "--text", "rain"),
    "edit": ("gemma3-270m", "--load", "README.md"),
    "prune": ("gemma3-270m", "--ratio", "0.1"),
    "fingerprint": ("gemma3-270m",),
    "compare": ("tiny", "gemma3-270m"),
    "independence": ("tiny", "gemma3-270m"),
    "derive": ("gemma3-270m", "--how", "noise:0.1", "--out", "new"),
}


@pytest.mark.parametrize("command", COMMANDS_OF_MODELS)
def test_a_licence_that_was_not_accepted(command, tmp_path, monkeypatch):
    monkeypatch.setenv("FNET_HOME", str(tmp_path))
    hand_atlas().save(tmp_path / "atlas")
    given = [str(tmp_path / "atlas") if word == "ATLAS" else word for word in COMMANDS_OF_MODELS[command]]
    status, loaded, err = run(command, *given)
    assert (status, loaded) == (2, []) and "accept them with --accept-licence" in err and err.count("\n") == 1
    assert not (tmp_path / "accepted-licences.json").exists()


def test_an_atlas_is_looked_at_before_the_model(tmp_path):
    hand_atlas().save(tmp_path / "atlas")
    status, loaded, err = run("edit", "tiny", "--atlas", str(tmp_path / "atlas"), "--gain", "99=0")
    assert (status, loaded) == (2, ["pandas"]) and "There is no network 99" in err


BASE = {
    "models": (),
    "atlas": ("tiny",),
    "recur": ("tiny",),
    "perplexity": ("tiny",),
    "listen": ("tiny", "--atlas", "/no/atlas", "--text", "rain"),
    "edit": ("tiny", "--atlas", "/no/atlas"),
    "prune": ("tiny",),
    "fingerprint": ("tiny",),
    "compare": ("tiny", "tiny"),
    "independence": ("tiny", "tiny"),
    "derive": ("tiny", "--how", "lora:README.md", "--out", "new"),
    "dashboard": (),
    "completion": ("bash",),
}
BESIDE = {"prune": {"--ratio": (), "--threshold": ()}}
"""What goes with an option, where it is not what the command needs anyway."""
TOO_LARGE = {
    "--components": "513",
    "--restarts": "101",
    "--controls": "51",
    "--all": "100.5",
    "--port": "65536",
    "--ratio": "1",
    "--steps": "1000001",
    "--batch": "4097",
    "--learning-rate": "1.5",
    "--passages": "1000000",
    "--seed": str(2**63),
}
BOUNDLESS = {("prune", "--threshold", "-1")}
"""Any number is a threshold on scores, and nothing but a number."""


def numbers() -> list[tuple[str, str, str]]:
    """Every option of every command that takes a number, with each kind of number that is out of its range."""
    found = []
    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    for name, sub in commands.choices.items():
        for action in sub._actions:
            if action.type not in (int, float):
                continue
            option = action.option_strings[0]
            wrong = [
                "-1",
                *(["nan"] if action.type is float else []),
                *([TOO_LARGE[option]] if option in TOO_LARGE else []),
            ]
            found += [(name, option, value) for value in wrong if (name, option, value) not in BOUNDLESS]
    return found


@pytest.fixture(scope="module")
def refused() -> dict[tuple[str, str, str], tuple[int, list[str], str]]:
    """Status, libraries that it loaded, and stderr of every such command line, all in one process."""
    lines = {}
    for command, option, value in numbers():
        beside = BESIDE.get(command, {}).get(option, ("--ratio", "0.1") if command == "prune" else ())
        given = (option, value, "0") if option == "--protect" else (f"{option}={value}",)
        lines[command, option, value] = [command, *BASE[command], *beside, *given]
    done = subprocess.run(
        [sys.executable, "-c", MANY, json.dumps(list(lines.values()))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(lines, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize(("command", "option", "value"), numbers())
def test_every_number_out_of_range(command, option, value, refused):
    status, loaded, err = refused[command, option, value]
    assert (status, loaded) == (2, []) and err.count("\n") == 1
    assert "out of range" in err or "not a number" in err


def test_the_words_of_the_command_line_are_those_of_the_core():
    assert tuple(METHODS) == METHOD_NAMES and list(WAY_EXAMPLES) == list(WAYS)
