"""Models that read fewer tokens at once than a passage has do everything on the bundled passages all the same."""

import json

import pytest
from support.tiny_models import save_tiny

import fnet_core as fn
from fnet_core import texts
from fnet_core.cli.main import main
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.grid import grid_positions
from fnet_core.lineage.request import stretches
from fnet_core.networks import finding
from fnet_core.networks.atlas import Atlas

FEW = ["--components", "4"]
PROBED = ["--components", "4", "--threshold", "1.5"]
CHINESE = "今天天气很好，我们去公园散步吧。他说：“我不去！”然后走了。\n"


@pytest.fixture(params=[128, 256])
def short(request, tmp_path) -> str:
    return str(save_tiny(tmp_path / f"short-{request.param}", max_position_embeddings=request.param))


@pytest.fixture
def long(tmp_path) -> str:
    return str(save_tiny(tmp_path / "long", seed=3, max_position_embeddings=2048))


@pytest.fixture
def probes(tmp_path) -> list[str]:
    options = []
    for split in ("find", "score"):
        path = tmp_path / f"{split}.txt"
        path.write_text("\n\n".join(p.text for p in texts.bundled(split)[:5]))
        options += [f"--{split}", str(path)]
    return options


def context(model: str) -> int:
    return int(model.rsplit("-", 1)[1])


def answer(capsys, *arguments) -> dict:
    assert main([*map(str, arguments), "--json", "--quiet"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def said(capsys, *arguments) -> str:
    assert main([*map(str, arguments), "--quiet"]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_an_atlas_and_its_edits(capsys, short, tmp_path):
    file = tmp_path / "atlas.safetensors"
    lines = said(capsys, "atlas", short, *FEW, "--passages", 6, "--out", file)
    atlas = Atlas.load(file)
    sentence = (
        f"6 passages were cut into {len(atlas.passages)}, for {short} reads at most {context(short)} tokens at once."
    )
    assert sentence in lines and atlas.recipe["cut"] == sentence
    assert all(len(course) <= context(short) for course in atlas.courses)
    read, given = ("".join(p.text for p in passages) for passages in (atlas.passages, texts.bundled("find")[:6]))
    assert "".join(read.split()) == "".join(given.split())
    again = answer(capsys, "atlas", short, *FEW, "--passages", 6)
    assert not again["computed"] and again["recipe"]["cut"] == sentence
    edited = answer(
        capsys, "edit", short, "--atlas", file, "--gain", "0=0", "--threshold", 1.5, "--passages", 2, "--controls", 1
    )
    assert edited["edited"]["value"] != edited["baseline"]["value"]


def test_recurrence_in_halves_and_beside_another_model(capsys, short, long):
    assert "passages were cut into" in said(capsys, "recur", short, *FEW, "--passages", 4)
    both = answer(capsys, "recur", short, long, *FEW, "--passages", 4)
    a, b = both["recipe"]["a"], both["recipe"]["b"]
    assert a["texts_digest"] == b["texts_digest"] and a["passages"] > 4
    found = fn.recur(short, long, texts.bundled("find")[:4], components=4)
    assert found.recipe["a"]["texts_digest"] == found.recipe["b"]["texts_digest"] == a["texts_digest"]


def test_two_passages_that_become_many_are_split_into_halves(capsys, short, tmp_path):
    file, text = tmp_path / "atlas.safetensors", tmp_path / "text.txt"
    text.write_text("\n\n".join(p.text for p in texts.bundled("find")[:2]))
    assert "2 passages were cut into" in said(capsys, "recur", short, *FEW, "--passages", 2)
    said(capsys, "atlas", short, *FEW, "--texts", text, "--out", file)
    lines = said(capsys, "listen", short, "--atlas", file, "--text", texts.bundled("score")[0].text)
    assert "1 passage was cut into" in lines
    heard = answer(capsys, "listen", short, "--atlas", file, "--text", texts.bundled("score")[0].text)
    assert len(heard["tokens"]) == len(heard["networks"][0]["course"]) > context(short)


def test_a_kept_atlas_of_cut_passages_is_found_without_the_model(short, monkeypatch):
    request = finding.AtlasRequest(short, texts.bundled("find")[:3], components=4)
    assert finding.kept_atlas(request) is None
    made = finding.find_atlas(request)
    monkeypatch.setattr(finding.models, "get_loaded", lambda *_, **__: pytest.fail("the model was loaded"))
    kept = finding.kept_atlas(request)
    assert kept.path == made.path and not kept.computed


def test_pruning_whose_calibration_is_cut(capsys, short, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(p.text for p in texts.bundled("find")[:3]))
    options = ["--calibration", text, "--passages", 1, "--ratio", 0.2, "--protect", 0, 0, *FEW]
    for method in ("networks", "wanda-sp", "fn"):
        found = answer(capsys, "prune", short, "--method", method, "--compensation", "networks", *options)
        assert found["perplexity"]["value"] != found["baseline"]["value"]
    out = tmp_path / "smaller"
    lines = said(capsys, "prune", short, "--compensation", "bias-sequential", "--out", out, *options)
    assert "calibration: 3 passages were cut into" in lines and (out / "config.json").is_file()
    plan = fn.plan_pruning(short, 0.2, text, method="wanda-sp", protected=(0, 0))
    assert fn.prune(short, plan, texts.bundled("score")[0], calibration=text).pruned.value > 0


def test_independence_on_pieces_that_both_can_read(capsys, short, long):
    lines = said(capsys, "independence", short, long, "--passages", 2)
    assert f"for {short} reads at most {context(short)} tokens at once" in lines
    one, other = (answer(capsys, "independence", *pair, "--passages", 2) for pair in ((short, long), (long, short)))
    assert one["recipe"]["passages"] == other["recipe"]["passages"]


def test_a_fingerprint_is_of_whole_passages_read_in_pieces(capsys, short, long, probes, tmp_path):
    files = [tmp_path / "short.safetensors", tmp_path / "long.safetensors"]
    lines = said(capsys, "fingerprint", short, *PROBED, *probes, "--out", files[0])
    said(capsys, "fingerprint", long, *PROBED, *probes, "--out", files[1])
    a, b = map(Fingerprint.load, files)
    assert (a.span, b.span) == (context(short), 0) and f"at most {a.span} characters" in lines
    assert a.protocol == b.protocol and a.passages == b.passages
    assert [grid.shape for grid in a.grids] == [grid.shape for grid in b.grids]
    for passage, signal_KT, grid_G in zip(a.passages, a.signals, a.grids, strict=True):
        read = "".join(passage.text[start:end] for start, end in stretches(passage, a.span))
        assert signal_KT.shape == (4, len(read))
        at_G = [
            (read[token], passage.text[at]) for token, at in zip(grid_G, grid_positions(len(passage.text)), strict=True)
        ]
        assert all(found == wanted or wanted.isspace() for found, wanted in at_G)
    apart = answer(capsys, "compare", *files)
    assert apart["verdict"] == "inconclusive" and 0 < apart["score"] < 1
    assert any(f"in pieces of at most {a.span} characters and long whole" in reason for reason in apart["reasons"])


def test_a_comparison_reads_both_models_in_the_same_pieces(capsys, short, long, probes, tmp_path):
    file = tmp_path / "short.safetensors"
    said(capsys, "fingerprint", short, *PROBED, *probes, "--out", file)
    both = answer(capsys, "compare", short, long, *PROBED, *probes)
    assert any("Both models read the passages in pieces" in reason for reason in both["reasons"])
    beside = answer(capsys, "compare", file, long, *PROBED, *probes)
    assert beside["score"] == both["score"]
    found = fn.compare(
        file, long, components=4, threshold=1.5, **{o[2:]: p for o, p in zip(probes[::2], probes[1::2], strict=True)}
    )
    assert found.score == both["score"] and found.b.span == found.a.span


def test_chinese_makes_several_passages_and_an_atlas(capsys, tmp_path):
    text = tmp_path / "chinese.txt"
    for lines, fewest in ((60, 6), (2000, 190)):
        text.write_text(CHINESE * lines)
        passages = texts.from_file(text)
        assert len(passages) >= fewest
    text.write_text(CHINESE * 60)
    found = answer(capsys, "atlas", "tiny", *FEW, "--texts", text)
    assert found["passages"] == 6 and "cut" not in found["recipe"]
