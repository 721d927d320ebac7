"""What is read without a model loads no library of models: Home, and networks that are kept."""

import subprocess
import sys

import pytest
from support.pages import ROOT

SHOW = """
import sys
sys.path.insert(0, "tests")
from support.pages import page, said
at = page(sys.argv[1], **dict(pair.split("=") for pair in sys.argv[2:]))
print(len(said(at)), [name for name in ("torch", "transformers") if name in sys.modules])
"""


@pytest.mark.parametrize(
    "asked", [("app",), ("networks", "atlas=example"), ("networks", "atlas=example", "view=By layer")]
)
def test_what_needs_no_model_loads_no_library_of_models(asked):
    done = subprocess.run(
        [sys.executable, "-c", SHOW, *asked], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    shown, _, loaded = done.stdout.strip().splitlines()[-1].partition(" ")
    assert int(shown) > 500 and loaded == "[]"
