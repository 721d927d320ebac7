"""Help, the version and refused command lines load none of the libraries that take seconds."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
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
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from fnet_core.cli.main import main
found = []
for arguments in json.loads(sys.argv[1]):
    with redirect_stderr(io.StringIO()) as err, redirect_stdout(io.StringIO()):
        try:
            status = main(arguments)
        except SystemExit as left:
            status = left.code
    found.append((status, [name for name in {SLOW!r} if name in sys.modules], err.getvalue()))
print(json.dumps(found))
"""
Found = tuple[int, list[str], str]
"""Exit status, slow libraries that are loaded once the command has ended, and stderr."""


def run_all(lines: Sequence[Sequence[str]], home: Path | None = None) -> list[Found]:
    """What each of these command lines does, one after the other in one fresh process, with a cache folder."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(lines)]
    environment = os.environ | ({"FNET_HOME": str(home)} if home else {})
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return [(status, loaded, err) for status, loaded, err in json.loads(done.stdout)]


def run(*arguments: str) -> Found:
    """What one command line does."""
    return run_all([arguments])[0]


HELP: list[tuple[str, ...]] = [("--help",), ("--version",), *((c.NAME, "--help") for c in COMMANDS)]
REFUSED: list[tuple[tuple[str, ...], str]] = [
    ((), "required: COMMAND"),
    (("skull",), "invalid choice: 'skull'"),
    (("atlas",), "required: MODEL"),
    (("atlas", "tiny", "--site", "skull"), "invalid choice: 'skull'"),
    (("atlas", "tiny", "--components", "many"), "invalid int value: 'many'"),
    (("atlas", "tiny", "--threshold", "-1"), "out of range; choose 0 or more"),
    (("atlas", "tiny", "--passages", "0"), "--passages 0 is out of range"),
    (("atlas", "tiny", "--passages", "some"), "'some' is neither a number nor auto nor auto:N"),
    (("atlas", "tiny", "--passages", "auto:3"), "3 passages are too few to split into halves"),
    (("prune", "tiny", "--method", "guess"), "invalid choice: 'guess'"),
    (("compare", "tiny"), "required: B"),
    (("derive", "tiny", "--how", "noise:0.1"), "required: --out"),
    (("recur", "tiny", "--components", "0"), "0 components is out of range"),
    (("recur", "/no/such"), "no folder /no/such"),
    (("recur", "tiny", "--csv", "/dev/null"), "a device or a pipe"),
    (("capabilities", "tiny", "--items", "0"), "0 items per capability are out of range"),
    (("capabilities", "tiny", "--only", "juggling"), "invalid choice: 'juggling'"),
    (("edit", "tiny", "--lesion"), "--lesion needs an atlas"),
    (("edit", "tiny", "--rank", "--keep-only"), "choose one of them"),
    (("labels", "/no/such.safetensors"), "There is no file /no/such.safetensors"),
    (("labels", "example", "--accept", "some"), "invalid int value: 'some'"),
    (("report", "example"), "required: --out"),
    (("bundle", "/no/such.safetensors", "--out", "b.zip"), "There is no file /no/such.safetensors"),
    (("replay", "/no/such.zip"), "There is no file /no/such.zip"),
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
    (("prune", "tiny", "--target", "huge"), "'huge' is no target; give a size on disk (450MB)"),
    (("prune", "tiny", "--target", "1MB", "--ratio", "0.1"), "--target stands instead of --ratio and --threshold"),
    (("prune", "tiny", "--ratio", "0.1", "--recover-by", "lora"), "--recover-by goes with --recover STEPS"),
    (("prune", "tiny", "--ratio", "0.1", "--recover", "0"), "number of steps, 0"),
    (("prune", "tiny", "--ratio", "0.1", "--recover", "5", "--recover-text", "missing"), "no text file 'missing'"),
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
    (("audit", "tiny"), "2 models or more are needed"),
    (("audit", "tiny", "/no/b"), "1 of 2 models can be read, and 2 are needed. /no/b: There is no folder /no/b"),
    (("audit", "/no/a.safetensors", "/no/b"), "There is no file /no/a.safetensors"),
    (("audit", "tiny", "tiny", "--engine", "here"), "'here' names no engine; write its scheduler as tcp://HOST:PORT"),
    (("audit", "tiny", "tiny", "--engine", "tcp://127.0.0.1:9"), "engine at tcp://127.0.0.1:9 does not answer"),
    (("audit", "tiny", "tiny", "--engine", "tls://127.0.0.1:9"), "wants a certificate"),
    (("audit", "tiny", "tiny", "--engine", "tcp://127.0.0.1:9", "--tls", "docs"), "docs holds no certificate.pem"),
    (("scan", "/no/a", "--against", "docs", "--engine", "udp://a:1"), "'udp://a:1' names no engine"),
    (("worker", "tcp://127.0.0.1:9"), "engine at tcp://127.0.0.1:9 does not answer"),
    (("worker", "tcp://0.0.0.0:0", "--scheduler"), "Whoever reaches tcp://0.0.0.0:0 could run any code as you"),
    (("worker", "--gpu", "999"), "--gpu 999 is more than the"),
    (("audit", "tests", "tiny"), "tests holds no model and no fingerprint file"),
    (("audit", "tiny", "tiny", "--csv", "/dev/null"), "a device or a pipe"),
    (("audit", "tiny", "tiny", "--html", "docs"), "docs is a folder"),
    (("scan", "tiny"), "required: --against"),
    (("scan", "/no/a", "--against", "docs"), "no folder /no/a"),
    (("scan", "tiny", "--against", "/no/folder"), "no folder /no/folder"),
    (("scan", "tiny", "--against", "docs"), "docs holds no fingerprint file"),
    (("library", "--limit", "much"), "The limit 'much' is no size"),
    (("library", "--remove", "abc"), "'abc' is too short"),
    (("library", "--remove", "abcdef"), "'abcdef' names 0 things"),
    (("derive", "tiny", "--how", "merge:/no/other", "--out", "new"), "no folder /no/other"),
    (("derive", "tiny", "--how", "noise:7", "--out", "new"), "noise '7' is out of range"),
    (("derive", "tiny", "--how", "noise:0.1", "--out", "docs"), "docs exists already"),
    (("derive", "tiny", "--how", "finetune:missing", "--out", "new"), "no text file 'missing'"),
    (("derive", "tiny", "--how", "lora:README.md", "--out", "new", "--steps", "0"), "number of steps, 0"),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict[tuple[str, ...], Found]:
    """What help, the version and the refused command lines do."""
    lines = [*HELP, *(arguments for arguments, _ in REFUSED)]
    return dict(zip(lines, run_all(lines, tmp_path_factory.mktemp("home")), strict=True))


@pytest.mark.parametrize("arguments", HELP)
def test_help_and_version(arguments, answers):
    assert answers[arguments][:2] == (0, [])


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED)
def test_refusals(arguments, sentence, answers):
    status, loaded, err = answers[arguments]
    assert (status, loaded) == (2, []) and sentence in err and err.count("\n") == 1


def test_one_that_is_alone_in_its_process():
    """What another command has loaded could hide what this one does with it."""
    assert run("--version")[:2] == (0, [])
    status, loaded, err = run("edit", "tiny", "--gain", "1=0")
    assert (status, loaded) == (2, []) and "Give an atlas with --atlas" in err


COMMANDS_OF_MODELS = {
    "atlas": ("gemma3-270m",),
    "recur": ("gemma3-270m",),
    "perplexity": ("gemma3-270m",),
    "capabilities": ("gemma3-270m",),
    "listen": ("gemma3-270m", "--atlas", "ATLAS", "--text", "rain"),
    "logits": ("gemma3-270m", "--atlas", "ATLAS"),
    "edit": ("gemma3-270m", "--load", "README.md"),
    "prune": ("gemma3-270m", "--ratio", "0.1"),
    "fingerprint": ("gemma3-270m",),
    "compare": ("tiny", "gemma3-270m"),
    "independence": ("tiny", "gemma3-270m"),
    "audit": ("tiny", "gemma3-270m"),
    "scan": ("gemma3-270m", "--against", "docs"),
    "derive": ("gemma3-270m", "--how", "noise:0.1", "--out", "new"),
}


@pytest.fixture(scope="module")
def unaccepted(tmp_path_factory) -> tuple[Path, dict[str, Found]]:
    """The cache folder of these commands, and what each does in it."""
    home = tmp_path_factory.mktemp("home")
    hand_atlas().save(home / "atlas")
    lines = [
        [name, *(str(home / "atlas") if word == "ATLAS" else word for word in given)]
        for name, given in COMMANDS_OF_MODELS.items()
    ]
    return home, dict(zip(COMMANDS_OF_MODELS, run_all(lines, home), strict=True))


@pytest.mark.parametrize("command", COMMANDS_OF_MODELS)
def test_a_licence_that_was_not_accepted(command, unaccepted):
    home, found = unaccepted
    status, loaded, err = found[command]
    assert (status, loaded) == (2, []) and "accept them with --accept-licence" in err and err.count("\n") == 1
    assert not (home / "accepted-licences.json").exists()


def test_an_atlas_is_looked_at_before_the_model(tmp_path):
    hand_atlas().save(tmp_path / "atlas")
    status, loaded, err = run("edit", "tiny", "--atlas", str(tmp_path / "atlas"), "--gain", "99=0")
    assert (status, loaded) == (2, ["pandas"]) and "There is no network 99" in err


def test_the_store_is_asked_for_an_atlas_before_an_engine(tmp_path, monkeypatch):
    monkeypatch.setenv("FNET_HOME", str(tmp_path))
    status, loaded, err = run("atlas", "tiny", "--engine", "tcp://127.0.0.1:9")
    assert (status, loaded) == (2, ["pandas"]) and "engine at tcp://127.0.0.1:9 does not answer" in err


def test_an_atlas_asked_for_before_loads_no_library_that_runs_models(tmp_path, monkeypatch):
    monkeypatch.setenv("FNET_HOME", str(tmp_path))
    asked = ("atlas", "tiny", "--components", "3", "--restarts", "2", "--passages", "4")
    status, loaded, _ = run(*asked)
    assert status == 0 and "torch" in loaded
    assert run(*asked)[:2] == (0, ["pandas"])
    assert run(*asked, "--seed", "1")[:2] != (0, ["pandas"])


BASE = {
    "models": (),
    "atlas": ("tiny",),
    "recur": ("tiny",),
    "perplexity": ("tiny",),
    "capabilities": ("tiny",),
    "listen": ("tiny", "--atlas", "/no/atlas", "--text", "rain"),
    "labels": ("example",),
    "report": ("example", "--out", "report.html"),
    "bundle": ("example", "--out", "bundle.zip"),
    "replay": ("/no/bundle",),
    "logits": ("tiny", "--atlas", "/no/atlas"),
    "edit": ("tiny", "--atlas", "/no/atlas"),
    "prune": ("tiny",),
    "fingerprint": ("tiny",),
    "compare": ("tiny", "tiny"),
    "changes": ("tiny", "tiny"),
    "independence": ("tiny", "tiny"),
    "keys": ("show", "/no/key"),
    "audit": ("tiny", "tiny"),
    "scan": ("tiny", "--against", "docs"),
    "library": (),
    "worker": (),
    "derive": ("tiny", "--how", "lora:README.md", "--out", "new"),
    "dashboard": (),
    "completion": ("bash",),
}
BESIDE = {
    "prune": {
        "--ratio": (),
        "--threshold": (),
        "--recover-window": ("--ratio", "0.1", "--recover", "5"),
    }
}
"""What goes with an option, where it is not what the command needs anyway."""
TOO_LARGE = {
    "--components": "513",
    "--restarts": "101",
    "--controls": "51",
    "--items": "501",
    "--lesion": "100.5",
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
def refused(tmp_path_factory) -> dict[tuple[str, str, str], Found]:
    """What every such command line does."""
    lines = {}
    for command, option, value in numbers():
        beside = BESIDE.get(command, {}).get(option, ("--ratio", "0.1") if command == "prune" else ())
        given = (option, value, "0") if option == "--protect" else (f"{option}={value}",)
        lines[command, option, value] = [command, *BASE[command], *beside, *given]
    return dict(zip(lines, run_all(list(lines.values()), tmp_path_factory.mktemp("home")), strict=True))


@pytest.mark.parametrize(("command", "option", "value"), numbers())
def test_every_number_out_of_range(command, option, value, refused):
    status, loaded, err = refused[command, option, value]
    assert (status, loaded) == (2, []) and err.count("\n") == 1
    assert "out of range" in err or "not a number" in err


def test_the_words_of_the_command_line_are_those_of_the_core():
    assert tuple(METHODS) == METHOD_NAMES and list(WAY_EXAMPLES) == list(WAYS)
