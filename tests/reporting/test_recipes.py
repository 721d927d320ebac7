"""The commands beside a result make it again: they are run, or read by the command line's own parser."""

import json
import shlex
from dataclasses import replace

import pytest

from fnet_core import texts
from fnet_core.choices import PUBLISHED_COMPONENTS
from fnet_core.cli.main import main, parser
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.interventions.edits import edit_networks
from fnet_core.interventions.measuring import intervene
from fnet_core.models.loading import get_loaded
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.pruning.published import published_groups, published_plan
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest
from fnet_core.pruning.target import read_target
from fnet_core.reporting.recipes import (
    Commands,
    Recovering,
    atlas_commands,
    edit_commands,
    prune_commands,
    recurrence_commands,
)

THRESHOLD = 1.5


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    """Two networks of the tiny starter, found with choices of which none is the default."""
    passages = texts.bundled("find")[:2]
    return find_atlas(AtlasRequest("tiny", passages, "residual", "layer", 2, 3, 2, "logcosh")).answer


def words_of(line: str) -> list[str]:
    """A command without the program."""
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "fnet_core"]
    return words[3:]


def answer(line: str, capsys) -> dict:
    """What the command prints."""
    assert main([*words_of(line), "--json", "--quiet"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_atlas_is_found_again(atlas, capsys):
    (line,) = atlas_commands(atlas, THRESHOLD).lines
    found = answer(line, capsys)
    assert found["artifact"].endswith(f"{atlas.key}.safetensors")
    assert found["threshold"] == THRESHOLD


def test_passages_that_were_cut_are_asked_for_as_they_were(capsys):
    long = texts.bundled("find")[0]
    whole = replace(long, text="It rained all day, and the boats stayed in. " * 400)
    found = find_atlas(AtlasRequest("tiny", (whole,), components=2)).answer
    assert len(found.passages) > 1
    (line,) = atlas_commands(found).lines
    assert parser().parse_args(words_of(line)).passages == 1


def test_a_text_of_ones_own_is_named_and_what_cannot_be_said_is_a_sentence(atlas):
    def of(source: str) -> Commands:
        return atlas_commands(replace(atlas, passages=(texts.Passage("a", "b", source),)))

    assert parser().parse_args(words_of(of("file my text.txt").lines[0])).texts == "my text.txt"
    pasted = of("pasted text")
    assert parser().parse_args(words_of(pasted.lines[0])).texts == "FILE"
    assert any("came from pasted text" in sentence for sentence in pasted.beyond)


def test_edits_are_measured_again(atlas, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gains: dict[int | str, float] = {1: 0.0, 0: 1.25}
    yardstick = Yardstick(texts.bundled("score")[:2], "word", 64)
    edits = [edit_networks(atlas, [int(network)], THRESHOLD, gain=gain) for network, gain in gains.items()]
    expected = intervene(get_loaded("tiny"), edits, yardstick, controls=1, seed=4)
    first, second = edit_commands(atlas, gains, THRESHOLD, yardstick, 1, 4).lines
    answer(first, capsys)
    found = answer(second, capsys)
    assert found["edited"]["value"] == expected.edited.value
    assert found["control_median"] == float(expected.control_values[0])


def test_all_networks_edits_from_a_file_and_a_pasted_text(atlas):
    every = edit_commands(atlas, {"all": 1.05}, 3.0, Yardstick(texts.bundled("score")), 5, 0)
    options = parser().parse_args(words_of(every.lines[1]))
    assert (options.all_gain, options.passages, options.controls, options.threshold) == (1.05, None, 5, 3.0)
    loaded = edit_commands(atlas, {}, 3.0, Yardstick(texts.from_text("It rained all day.")), 5, 0)
    (line,) = loaded.lines
    options = parser().parse_args(words_of(line))
    assert options.load == "edits.json" and options.atlas is None and options.texts == "FILE"
    assert any("came from a file" in sentence for sentence in loaded.beyond)
    assert any("as one document" in sentence for sentence in loaded.beyond)


@pytest.mark.parametrize(
    "plan",
    [
        PlanRequest(ratio=0.2),
        PlanRequest("flap", 0.3, None, "parameters", (0, 1), True, True, "bias"),
        PlanRequest("wanda-sp", None, -1.5, "neurons", (1, 1), False, False, "none"),
    ],
)
def test_a_pruning_is_read_again(plan):
    scores = ScoreRequest(texts.bundled("find"), plan.heads, 7, 16, 2)
    (line,) = prune_commands("-odd name", plan, scores, Yardstick(texts.bundled("score")[:3], "byte")).lines
    found = parser().parse_args(words_of(line))
    asked = PlanRequest(
        found.method or PlanRequest.method, found.ratio, found.threshold, found.share, tuple(found.protect),
        found.even, found.heads,
        found.compensation or PlanRequest.compensation,
    )  # fmt: skip
    assert asked == plan and found.model == "./-odd name"
    assert (found.seed, found.components, found.groups) == (7, 16, 2)
    assert (found.passages, found.definition, found.calibration) == (3, "byte", None)


@pytest.mark.parametrize("written", ["450MB", "600tok/s", "ppl<=40"])
def test_a_target_and_what_is_saved_are_read_again(written):
    scores, target = ScoreRequest(texts.bundled("find")), read_target(written)
    yardstick = Yardstick(texts.bundled("score"))
    made = prune_commands("tiny", PlanRequest(ratio=0.1437), scores, yardstick, target, "plain", "-mine")
    found = parser().parse_args(words_of(made.lines[0]))
    assert (found.target, found.ratio, found.form, found.out) == (written, None, "plain", "-mine")
    assert any("measured anew" in sentence for sentence in made.beyond) is target.is_speed
    bare = parser().parse_args(words_of(prune_commands("tiny", PlanRequest(ratio=0.2), scores, yardstick).lines[0]))
    assert (bare.target, bare.form, bare.out, bare.published) == (None, "auto", None, False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, {}),
        ({"threshold": 5.0, "heads": True}, {"threshold": 5.0, "heads": True}),
        ({"ratio": 0.3, "compensation": "none"}, {"ratio": 0.3, "compensation": "none"}),
    ],
)
def test_the_published_recipe_is_said_by_its_name_and_by_what_differs(changes, said):
    plan, passages = published_plan(**changes), texts.for_networks()
    scores = ScoreRequest(passages, plan.heads, 0, PUBLISHED_COMPONENTS, published_groups(len(passages)))
    (line,) = prune_commands("tiny", plan, scores, Yardstick(texts.bundled("score"))).lines
    found = vars(parser().parse_args(words_of(line)))
    assert found["published"] and found["calibration"] is None
    named = {name for name in ("threshold", "ratio", "compensation", "components", "groups", "method") if found[name]}
    assert named == said.keys() - {"heads"} and {name: found[name] for name in said} == said


@pytest.mark.parametrize("wanted", [Recovering(40, "lora", False, True), Recovering(7, "finetune", True, False)])
def test_a_recovery_is_read_again(wanted):
    scores = ScoreRequest(texts.bundled("find"))
    made = prune_commands(
        "tiny", PlanRequest(ratio=0.2), scores, Yardstick(texts.bundled("score")), out="mine", recovering=wanted
    )
    found = parser().parse_args(words_of(made.lines[0]))
    assert (found.recover, found.recover_by or "lora", found.recover_control) == (
        wanted.steps,
        wanted.how,
        wanted.control,
    )
    assert found.recover_text == ("OTHER" if wanted.own_text else None) and found.out == "mine"
    assert any("in place of OTHER" in sentence for sentence in made.beyond) is wanted.own_text


def test_recurrence_is_computed_again_from_the_atlas_that_is_found_again(atlas, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = find_atlas(AtlasRequest("tiny", texts.bundled("find")[:4], components=2)).answer
    find, recur = recurrence_commands(whole).lines
    answer(find, capsys)
    assert answer(recur, capsys)["networks"]
    made = recurrence_commands(whole, atlas)
    assert len(made.lines) == 3
    found = parser().parse_args(words_of(made.lines[-1]))
    outs = [parser().parse_args(words_of(line)).out for line in made.lines[:2]]
    assert found.what == outs and len(set(outs)) == 2


def test_a_calibration_of_ones_own_is_a_file():
    scores = ScoreRequest(texts.from_text("It rained all day."))
    made = prune_commands("tiny", PlanRequest(ratio=0.2), scores, Yardstick(texts.bundled("score")))
    assert parser().parse_args(words_of(made.lines[0])).calibration == "FILE"
    assert any("a text of your own" in sentence for sentence in made.beyond)
