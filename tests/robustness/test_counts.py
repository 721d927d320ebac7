"""The quick form of `python -m benchmarks.robustness`: wrong inputs, damage, kills and little memory, counted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def counts() -> dict:
    command = [sys.executable, "-m", "benchmarks.robustness", "quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.stdout, done.stderr
    return json.loads(done.stdout) | {"said": done.stderr}


def test_a_wrong_input_ends_with_a_sentence(counts):
    found = counts["mutations"]
    assert found["inputs"] >= 40 and len(found["kinds"]) > 5
    assert found["statuses other than 0 and 2"] == 0, counts["said"]
    assert found["control characters printed"] == 0, counts["said"]
    assert found["grown by more than 2.5 GB"] == 0, counts["said"]


def test_a_damaged_file_is_healed_or_told(counts):
    found = counts["damage"]
    assert found["cases"] >= 16
    assert found["neither healed nor told"] == 0, counts["said"]
    assert found["files with other permissions than 0644"] == 0


def test_a_killed_process_leaves_nothing_and_blocks_nothing(counts):
    found = counts["kills"]
    assert found["kills"] >= 6 and found["inside saves"] > 1
    assert (found["bad reruns"], found["with leftovers after the next command"]) == (0, 0), counts["said"]


def test_running_out_of_memory_is_told_and_the_next_works(counts):
    assert counts["memory"]["met"], counts["memory"]
