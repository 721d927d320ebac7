"""The pruning table: cells that are measured and kept, draws that share no text, gaps, and paired intervals."""

import json

import numpy as np
import pytest
from support.loading import loaded_tiny

from benchmarks import prune_cells
from benchmarks.prune_cells import BASELINES, CONTENDERS, Cell, calibration_passages, cells, measure, result, study_of
from benchmarks.prune_table import lines
from fnet_core.evaluation.perplexity import measure as perplexity
from fnet_core.pruning.masking import masking, prepare
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest
from fnet_core.texts import Passage

TEXT = "".join(
    f" = Title {i} = \n\n The cat of house {i} sat on the mat and looked at the moon. \n\n" for i in range(24)
)


@pytest.fixture
def short(monkeypatch, tmp_path):
    monkeypatch.setenv("FNET_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(prune_cells, "MEASURED", tmp_path / "measured")
    monkeypatch.setattr(prune_cells, "TOKENS", {"small": 900, "large": 300})
    monkeypatch.setattr(prune_cells, "WINDOW", 64)
    monkeypatch.setattr(prune_cells, "WINDOWS", 3)


STUDY = study_of(TEXT, "float32")


def test_draws_share_no_text_and_large_ones_none_with_what_is_measured_on(short):
    loaded = loaded_tiny(max_position_embeddings=2048)
    for size in ("small", "large"):
        names = [{p.text for p in calibration_passages(loaded, TEXT, size, draw)} for draw in range(3)]
        assert all(names) and not names[0] & names[1] and not names[1] & names[2]
    assert all("house 5 " not in text for text in names[0] | names[1] | names[2])
    with pytest.raises(SystemExit, match="no text for draw 20"):
        calibration_passages(loaded, TEXT, "large", 20)


def test_a_cell_is_the_perplexity_that_the_product_measures_and_is_not_measured_again(short, monkeypatch):
    loaded = loaded_tiny(max_position_embeddings=2048, num_hidden_layers=7)
    monkeypatch.setattr(prune_cells.models, "get_loaded", lambda name, accept_licence: loaded)
    asked = [Cell(STUDY, "tiny", "large", 0, 0.2, *pair) for pair in (("obs", "blend"), ("wanda-sp", "bias"))]
    measure(TEXT, asked)
    request = ScoreRequest(calibration_passages(loaded, TEXT, "large", 0))
    for cell in asked:
        plan = plan_for(loaded, PlanRequest(cell.method, cell.ratio), request)
        pruning = prepare(loaded, plan, cell.compensation, request)
        *_, found = perplexity(
            loaded, [Passage("text", TEXT, "file")], window=64, around=lambda p=pruning: masking(loaded, p)
        )
        np.testing.assert_allclose(result(cell).nll_W, found.nll_W[:3], rtol=1e-3)
    monkeypatch.setattr(prune_cells, "losses", lambda *_: pytest.fail("measured again"))
    measure(TEXT, [cell for cell in asked if cell.read() is None])


def kept(cell: Cell, nll) -> None:
    seconds = {"gram": 6.6, "compensation": 3.3}
    cell.write({"nll": list(nll), "units": [10.0] * len(nll), "calibration_tokens": 6600, "seconds": seconds})


def test_the_table_has_gaps_where_nothing_is_and_intervals_where_both_are(short):
    rng = np.random.default_rng(0)
    base = 30 + rng.normal(size=40)
    kept(prune_cells.untouched_cell(STUDY, "m"), base - 5)
    kept(Cell(STUDY, "m", "small", 0, 0.2, *BASELINES[0]), base)
    kept(Cell(STUDY, "m", "small", 0, 0.2, *BASELINES[1]), base + 1)
    kept(Cell(STUDY, "m", "small", 0, 0.2, "obs", "blend"), base - 1 + 0.1 * rng.normal(size=40))
    told = "\n".join(lines(STUDY, "m", "small", 3, [0.2, 0.3]))
    rows = {
        line.split("|")[1].strip() + line.split("|")[2].strip(): line.split("|")[3:5]
        for line in told.split("\n")
        if line.count("|") == 5
    }
    value = np.exp(base.sum() / 400)
    assert rows["flapbias"] == [f" **{value:.2f}** ", "  "]
    assert f"{value * np.exp(0.1):.2f} (1.105, 1.105 to 1.105)" in rows["wanda-spridge"][0]
    assert "(0.90" in rows["obsblend"][0] and "networksblend" not in rows
    assert "- 20%: obs + blend over flap + bias 0.90" in told and "(1 of the three still to be measured)" in told
    assert "Gram matrices 1.00" in told and "compensation blend 0.50" in told
    path = Cell(STUDY, "m", "small", 0, 0.2, "obs", "blend").path
    path.write_text(json.dumps(json.loads(path.read_text()) | {"versions": [0]}))
    assert "obs | blend" not in "\n".join(lines(STUDY, "m", "small", 3, [0.2]))


def test_the_most_telling_come_first_and_later_draws_hold_the_contenders_alone():
    every = cells(STUDY, ["a", "b"], ["small", "large"], 2, [0.2, 0.1])
    assert [(c.method, c.compensation) for c in every[: len(CONTENDERS)]] == list(CONTENDERS)
    assert every[0] == Cell(STUDY, "a", "small", 0, 0.2, "flap", "bias") and len(set(every)) == len(every)
    assert {(c.method, c.compensation) for c in every if c.draw} == set(CONTENDERS)
    assert len([c for c in every if c.draw == 0]) == 2 * 2 * 2 * 20


def test_what_was_read_in_another_type_or_on_another_text_is_another_cell(short):
    studies = [study_of(TEXT, "float32"), study_of(TEXT, "bfloat16"), study_of(TEXT + "x", "float32")]
    kept(Cell(studies[0], "m", "small", 0, 0.2, "obs", "blend"), [1.0])
    found = [Cell(study, "m", "small", 0, 0.2, "obs", "blend") for study in studies]
    assert [cell.read() is not None for cell in found] == [True, False, False]
    assert [str(cell.dtype) for cell in found] == ["torch.float32", "torch.bfloat16", "torch.float32"]
