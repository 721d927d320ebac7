"""Threads that wait: set before torch is loaded wherever a program starts, and a person's own setting stands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fnet_core.threads import SETTINGS

ROOT = Path(__file__).parents[1]
NAMES = (*SETTINGS, "OMP_WAIT_POLICY")
COMMAND_LINE = """
import sys
from fnet_core.cli import main
class Watch:
    def find_spec(self, name, *rest):
        if name == "torch":
            print(sorted((key, os.environ[key]) for key in NAMES if key in os.environ), flush=True); os._exit(0)
import os
NAMES = %r
sys.meta_path.insert(0, Watch())
main.main(["atlas", "tiny"])
"""
DASHBOARD = COMMAND_LINE.replace("from fnet_core.cli import main\n", "").replace(
    'main.main(["atlas", "tiny"])', "from dashboard import model_access; model_access.device()"
)


def seen_by_torch(program: str, **own: str) -> list[tuple[str, str]]:
    """The settings at the moment that torch is looked for."""
    env = {name: value for name, value in os.environ.items() if name not in NAMES} | own
    done = subprocess.run(
        [sys.executable, "-c", program % (NAMES,)], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    return eval(done.stdout)


@pytest.mark.parametrize("program", [COMMAND_LINE, DASHBOARD], ids=["command line", "dashboard"])
def test_torch_finds_threads_that_wait_politely(program):
    assert seen_by_torch(program) == sorted(SETTINGS.items())


def test_a_persons_own_settings_stand():
    assert ("GOMP_SPINCOUNT", "7") in seen_by_torch(COMMAND_LINE, GOMP_SPINCOUNT="7")
    assert seen_by_torch(COMMAND_LINE, OMP_WAIT_POLICY="ACTIVE") == [("OMP_WAIT_POLICY", "ACTIVE")]
