"""What a person's cache folder holds from before the modules moved is answered from there, under the same keys."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from fnet_core.cli.main import main

KEPT = Path(__file__).parents[1] / "data" / "before_the_move"
TEXTS = {name: str(KEPT / f"{name}.txt") for name in "ab"}
DIGEST = "92756a056549adb9cc0534b90d8eaeee00d828e6d1f444b84227740d2fac8236"
"""The tiny starter's, as the libraries of that day wrote its folder."""


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.glob("*/*.safetensors"))}


@pytest.fixture(autouse=True)
def that_day(tmp_path, monkeypatch) -> Path:
    """The cache folder of that day on a machine with the libraries of that day, where nothing may be computed."""
    home = tmp_path / "home"
    for kind in (folder for folder in KEPT.iterdir() if folder.is_dir()):
        shutil.copytree(kind, home / kind.name)
    monkeypatch.setenv("FNET_HOME", str(home))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("fnet_core.models.folder._model_digest", lambda *_: DIGEST)
    monkeypatch.setattr("fnet_core.storage.memo.installed", recorded_versions().__getitem__)

    def forbidden(*_, **__):
        raise AssertionError("computed again")

    for computing in (
        "fnet_core.networks.finding.compute_atlas",
        "fnet_core.lineage.taking.compute_fingerprint",
        "fnet_core.evaluation.yardstick.measure",
        "fnet_core.pruning.scores._computed",
        "fnet_core.pruning.factors.compute_factors",
    ):
        monkeypatch.setattr(computing, forbidden)
    return home


def recorded_versions() -> dict[str, str]:
    """The libraries' versions in the recipe of a kept fingerprint."""
    (path,) = (KEPT / "fingerprint").iterdir()
    header = path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], "little")]
    return json.loads(json.loads(header)["__metadata__"]["fnet"])["recipe"]["versions"]


def answer(capsys, *arguments: str) -> dict:
    assert main([*arguments, "--json", "--quiet"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_an_atlas(capsys, that_day):
    found = answer(capsys, "atlas", "tiny", "--texts", TEXTS["a"], "--components", "2")
    assert [network["label"] for network in found["networks"]] == ["looked · not", "under · looked · rest"]
    assert Path(found["artifact"]).parent == that_day / "atlas"


def test_a_fingerprint(capsys):
    probes = ("--find", TEXTS["a"], "--score", TEXTS["b"], "--components", "2", "--threshold", "1")
    assert answer(capsys, "fingerprint", "tiny", *probes)["model"]["digest"] == DIGEST


def test_a_perplexity(capsys):
    assert answer(capsys, "perplexity", "tiny", "--texts", TEXTS["b"])["value"] == 372.86411225379226


def test_scores_factors_and_perplexities_of_a_pruned_model(capsys, that_day):
    before = files(that_day)
    chosen = ("--ratio", "0.2", "--protect", "0", "0", "--method", "networks", "--components", "2")
    texts = ("--calibration", TEXTS["a"], "--texts", TEXTS["b"], "--compensation", "networks")
    found = answer(capsys, "prune", "tiny", *chosen, *texts)
    assert found["baseline"]["value"] == 372.86411225379226
    assert found["perplexity"]["value"] != found["baseline"]["value"]
    assert {name: content for name, content in files(that_day).items() if name in before} == before
