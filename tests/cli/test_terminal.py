"""What a person sees on a terminal, and that nothing of it comes where no terminal is."""

import json
import logging
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.fingerprints import hand_fingerprint, waves

from fnet_core import logs
from fnet_core.cli import main
from fnet_core.cli.terminal import Table, number_table, show, show_json
from fnet_core.errors import RequestError
from fnet_core.visible import visible

ROOT = Path(__file__).parents[2]
ATLAS = ("atlas", "tiny", "--components", "2", "--restarts", "2", "--passages", "2")


def on_a_terminal(*arguments: str) -> tuple[int, str]:
    """Exit status of a command whose stdout and stderr are a terminal of 120 columns, and all it wrote there."""
    reader, terminal = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NO_COLOR", "FORCE"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "fnet_core", *arguments],
        cwd=ROOT, stdout=terminal, stderr=terminal, env=environment | {"TERM": "xterm-256color", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(terminal)
    written = b""
    while True:
        try:
            block = os.read(reader, 65536)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        written += block
    os.close(reader)
    return process.wait(), written.decode()


def test_quiet_is_quiet_on_a_fresh_cache_and_verbose_is_not(capsys):
    command = [sys.executable, "-m", "fnet_core", *ATLAS]
    quiet = subprocess.run([*command, "--quiet"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert quiet.stderr == "" and "variance" in quiet.stdout
    assert main.main([*ATLAS, "--verbose"]) == 0
    assert "fnet: atlas: answered from the store" in capsys.readouterr().err


def test_a_bar_and_a_table_on_a_terminal():
    status, written = on_a_terminal(*ATLAS)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert status == 0 and "capturing" in shown and "━" in shown
    fractions = [int(found) for found in re.findall(r"(\d+)%(?! of this)", shown.partition("variance")[0])]
    assert fractions and fractions == sorted(fractions)
    assert re.search(r"# +variance +I_q +neurons +layers +label", shown) and "─" in shown
    assert "Writing model shards" not in shown


def test_elsewhere_a_table_is_the_lines_it_always_was(capsys):
    show([number_table(("#", "value", "label"), (3, 6), [("1", "2.5", "of, the")]), "the end"])
    assert capsys.readouterr().out == "  #   value  label\n  1     2.5  of, the\nthe end\n"


EVIL = "m\n\x1b[31mfnet: derived\x9b2J\u202e"


def test_what_moves_a_cursor_is_written_out_and_other_scripts_are_not():
    assert visible(EVIL) == r"m\n\x1b[31mfnet: derived\x9b2J\u202e"
    assert visible("über 中文 می‌خواهم\u00a0!") == "über 中文 می‌خواهم\u00a0!"


@pytest.mark.parametrize("kind", ["line", "table", "error", "log", "json"])
def test_every_way_out_escapes(capsys, kind):
    if kind == "line":
        show([EVIL])
    elif kind == "table":
        show([Table(("a",), ((EVIL,),), (EVIL,))])
    elif kind == "json":
        show_json({"name": EVIL})
    elif kind == "error":
        assert main.main(["atlas", EVIL]) == main.WRONG_REQUEST
    else:
        logs.configure()
        logging.getLogger("fnet_core.models").warning("%s is used", EVIL)
    out, err = capsys.readouterr()
    written = out + err
    assert written.count("\n") == 1 and visible(written.rstrip("\n")) == written.rstrip("\n")
    if kind == "json":
        assert json.loads(out) == {"name": EVIL}


def test_a_name_in_a_fingerprint_prints_no_line_of_its_own(capsys, tmp_path):
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for seed, path in enumerate(paths):
        taken = hand_fingerprint(waves(10), EVIL, seed=seed)
        replace(taken, labels=tuple(EVIL for _ in taken.labels)).save(path)
    assert main.main(["compare", *map(str, paths)]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "\x1b" not in out and "\x9b" not in out and "\u202e" not in out
    assert not any(line.startswith("\x1b") or line.startswith("fnet") for line in out.splitlines())
    assert r"m\n\x1b[31mfnet: derived" in out.splitlines()[0]


def test_the_level_comes_from_the_environment_unless_it_is_given(monkeypatch, capsys):
    log = logging.getLogger("fnet_core.somewhere")
    monkeypatch.setenv("FNET_LOG", "INFO")
    logs.configure()
    log.info("heard")
    logs.configure("error")
    log.warning("not heard")
    monkeypatch.setenv("FNET_LOG", "loud")
    with pytest.raises(RequestError, match="FNET_LOG names no level 'loud'; choose one of debug, info"):
        logs.configure()
    assert capsys.readouterr().err == "fnet: heard\n"
    logs.configure("warning")
