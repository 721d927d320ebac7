"""A limit on the size of files is told in a sentence, and leaves nothing half written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMITED = (
    "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
    "from fnet_core.cli.main import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.mark.skipif(os.name == "nt", reason="has no such limit")
def test_a_limit_on_the_size_of_files_is_a_request_error(tmp_path):
    command = [sys.executable, "-c", LIMITED, "atlas", "tiny", "--quiet"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"FNET_HOME": str(tmp_path / "home")}, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert "larger than this system lets one be" in done.stderr.splitlines()[-1]
    assert [path for path in (tmp_path / "home").rglob("*") if path.suffix in (".part", ".safetensors")] == []
