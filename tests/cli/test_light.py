"""Help, the version and refused command lines load none of the libraries that take seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

from fnet_core.choices import METHOD_NAMES, WAY_EXAMPLES
from fnet_core.cli import COMMANDS
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
        (("derive", "tiny", "--how", "noise:7", "--out", "new"), "noise '7' is out of range"),
        (("derive", "tiny", "--how", "noise:0.1", "--out", "docs"), "docs exists already"),
        (("derive", "tiny", "--how", "finetune:missing", "--out", "new"), "no text file 'missing'"),
        (("derive", "tiny", "--how", "lora:README.md", "--out", "new", "--steps", "0"), "number of steps, 0"),
    ],
)
def test_refusals(arguments, sentence):
    status, loaded, err = run(*arguments)
    assert (status, loaded) == (2, []) and sentence in err and err.count("\n") == 1


def test_the_words_of_the_command_line_are_those_of_the_core():
    assert tuple(METHODS) == METHOD_NAMES and list(WAY_EXAMPLES) == list(WAYS)
