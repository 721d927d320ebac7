"""The example notebook runs from first to last cell, on the tiny starter; its kept output is the real model's."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"
SETTINGS = 'MODEL = "tiny"\nNETWORKS = 4\nTHRESHOLD = 2.0'


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_runs_on_the_tiny_starter(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    first, *_ = code_cells(notebook)
    assert first.source.startswith('MODEL = "smollm2-135m"\n')
    first.source = SETTINGS
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    shown = [output.data for cell in code_cells(notebook) for output in cell.outputs if "data" in output]
    titles = " ".join(data.get("text/plain", "") for data in shown)
    for title in ("Atlas of tiny", "Perplexity under edits", "tiny pruned by networks", "Comparison"):
        assert title in titles
    assert any("application/vnd.plotly.v1+json" in data for data in shown)


def test_its_kept_output_is_the_real_models():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    kept = str([cell.outputs for cell in code_cells(notebook)])
    assert all(cell.outputs for cell in code_cells(notebook)[1:])
    assert "Atlas of smollm2-135m" in kept and "derived: smollm2-135m and noisy" in kept
    assert "Traceback" not in kept and NOTEBOOK.stat().st_size < 1_500_000
