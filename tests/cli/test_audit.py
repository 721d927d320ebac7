"""`audit`, `scan` and `library` on the command line, on files and on derived tiny models."""

import csv
import json

import pytest
from support.kin import PLAN, member, members
from support.taking import LONG
from support.tiny_models import save_tiny

from fnet_core import texts
from fnet_core.cli import main
from fnet_core.derivation.derive import derive
from fnet_core.storage import artifacts, library

WIDE = LONG | {"intermediate_size": 64}


def run(capsys, *arguments):
    status = main.main(list(map(str, arguments)))
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "known"
    folder.mkdir()
    for each in members():
        each.save(folder / f"{each.model.name}.safetensors")
    return folder


def test_an_audit_of_files(capsys, files, tmp_path):
    table, report = tmp_path / "pairs.csv", tmp_path / "audit.html"
    status, out, _ = run(capsys, "audit", files, "--json", "--csv", table, "--html", report)
    found = json.loads(out)
    assert status == 0 and len(found["models"]) == 12 and len(found["pairs"]) == 66 and found["failed"] == []
    groups = [{name[:3] for name in family["members"]} for family in found["families"]]
    assert groups == [{"ant"}, {"bee"}, {"cod"}]
    rows = list(csv.DictReader(table.open()))
    assert [float(row["score"]) for row in rows] == [row["score"] for row in found["pairs"]]
    page = report.read_text("utf-8")
    assert "Audit of 12 models, 66 pairs" in page and found["words"][0] in page and "<script src" not in page


def test_one_file_that_cannot_be_read_is_told_and_in_the_status(capsys, files):
    (files / "zebra.safetensors").write_bytes(b"nothing")
    status, out, _ = run(capsys, "audit", files, "--quiet")
    assert status == 1 and "zebra.safetensors could not be read" in out and "Family 1: " in out
    lines = out.splitlines()
    assert lines[0].split() == ["score", "p", "p,", "Holm", "verdict", "models"] and len(lines) > 66


def test_a_scan_of_files(capsys, files, tmp_path):
    child = tmp_path / "child.safetensors"
    member("bee", 8).save(child)
    status, out, _ = run(capsys, "scan", child, "--against", files, "--csv", tmp_path / "c.csv", "--json")
    found = json.loads(out)
    assert status == 0 and set(found["possible"]) == {f"bee-{n}" for n in range(PLAN["bee"])}
    assert not found["none_possible"] and len(found["candidates"]) == 12 and found["coverage"][0]["of"] > 30
    assert json.loads(run(capsys, "scan", child, "--against", files, "--nearest", 4, "--json")[1])["screened"] == 8
    lines = run(capsys, "scan", child, "--against", files)[1]
    assert (
        lines.startswith("The parent of bee-8 could be: bee-0") and (tmp_path / "c.csv").read_text().count("\n") == 13
    )


@pytest.fixture(scope="module")
def derived(tmp_path_factory):
    """Three tiny parents with three copies each: their folders, and options with short probes."""
    home = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FNET_HOME", str(home / "cache"))
        for name, family, seed in (("elm", "llama", 1), ("fir", "qwen2", 2), ("oak", "llama", 3)):
            parent = save_tiny(home / "given" / name, family, seed=seed, **WIDE)
            for way in ("noise:0.05", "permute", "drop-layers:1"):
                derive(str(parent), way, home / "given" / f"{name}-{way.partition(':')[0]}")
    options = ["--components", "8", "--threshold", "1.8"]
    for split in ("find", "score"):
        path = home / f"{split}.txt"
        path.write_text("\n\n".join(p.text[:400] for p in texts.bundled(split)[:5]))
        options += [f"--{split}", str(path)]
    return home, options


def test_twelve_derived_models_fall_into_their_families(capsys, derived, monkeypatch):
    """Random weights read no text, so there is no verdict: the independence test alone says who is related."""
    home, options = derived
    monkeypatch.setenv("FNET_HOME", str(home / "cache"))
    status, out, err = run(capsys, "audit", home / "given", *options, "--json")
    found = json.loads(out)
    assert status == 0 and len(found["models"]) == 12 and "fingerprints" in err and "comparing" in err
    families = sorted(sorted(family["members"]) for family in found["families"])
    assert families == [
        [name, *(f"{name}-{w}" for w in ("drop-layers", "noise", "permute"))] for name in ("elm", "fir", "oak")
    ]
    inside = [row for row in found["pairs"] if row["a"][:3] == row["b"][:3]]
    assert len(inside) == 18 and all(row["basis"] == "neurons" and row["holm_nominal_p"] < 1e-6 for row in inside)
    assert all(row["basis"] is None for row in found["pairs"] if row not in inside)
    cut = {branch["cut"] for family in found["families"] for branch in family["branches"] if branch["cut"]}
    assert cut and all("has 2 of the 3 layers of" in line and line.split()[0].endswith("drop-layers") for line in cut)
    assert "for which there is no verdict" in found["words"][0]
    before = len(artifacts.list_artifacts("fingerprint")), len(artifacts.list_artifacts("pair"))
    assert before == (12, 66)
    broken = home / "given" / "oak-noise" / "model.safetensors"
    content = broken.read_bytes()
    broken.write_bytes(content[:200])
    try:
        status, out, _ = run(capsys, "audit", home / "given", *options, "--json", "--quiet")
    finally:
        broken.write_bytes(content)
    again = json.loads(out)
    assert status == 1 and [row["label"] for row in again["failed"]] == [str(home / "given" / "oak-noise")]
    assert len(again["pairs"]) == 55
    assert (len(artifacts.list_artifacts("fingerprint")), len(artifacts.list_artifacts("pair"))) == before


def test_the_library_is_listed_emptied_and_limited(capsys, monkeypatch, tmp_path):
    monkeypatch.delenv(library.LIMIT_VARIABLE, raising=False)
    for child in (0, 1):
        found = member("ant", child)
        found.save(artifacts.artifact_path("fingerprint", f"{child}" * 12))
    listed = json.loads(run(capsys, "library", "--json")[1])
    assert {row["model"] for row in listed["entries"]} == {"ant-0", "ant-1"} and listed["limit"] == library.LIMIT_BYTES
    assert all(row["what"].endswith("5 passages, with neurons") for row in listed["entries"])
    copy = tmp_path / "copy.safetensors"
    status, out, _ = run(capsys, "library", "--rename", "1111111", "the second", "--export", "1111111", copy)
    assert status == 0 and "the second: ant-1, 10 networks, Residual stream, 5 passages" in out
    assert copy.read_bytes() == artifacts.artifact_path("fingerprint", "1" * 12).read_bytes()
    status, out, _ = run(capsys, "library", "--remove", "0000000", "--limit", "5MB")
    assert status == 0 and out.startswith("removed fingerprint 000000") and "ant-1" in out and "of 5.0 MB" in out
    assert [path.stem for path in artifacts.list_artifacts("fingerprint")] == ["1" * 12]
