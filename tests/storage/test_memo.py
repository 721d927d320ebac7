"""Stored questions, of every kind: what is on disk is answered from there, and what cannot be read never stays."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.loading import loaded_tiny
from support.pruning_cases import PASSAGES, REQUEST
from support.tiny_models import save_tiny

from fnet_core._version import __version__
from fnet_core.errors import Cancelled
from fnet_core.evaluation.yardstick import Yardstick, baseline_perplexity
from fnet_core.lineage.taking import FingerprintRequest, find_fingerprint
from fnet_core.models.loading import LoadedModel
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.pruning.factors import find_factors
from fnet_core.pruning.scores import find_scores
from fnet_core.storage import artifacts, memo


@dataclass
class Asked:
    """One question of each kind, and what computes its answer."""

    ask: Callable[[], Any]
    computing: str
    """The function, as module and name, that must run when the answer is not on disk and only then."""


def of_kind(kind: str, folder: Path) -> Asked:
    loaded: LoadedModel = loaded_tiny("llama")
    name = str(folder)
    match kind:
        case "atlas":
            request = AtlasRequest(name, PASSAGES, components=2, restarts=2)
            return Asked(lambda: find_atlas(request).answer, "fnet_core.networks.finding.compute_atlas")
        case "fingerprint":
            request = FingerprintRequest(name, PASSAGES[:2], PASSAGES[2:], components=2, threshold=1.0)
            taken = "fnet_core.lineage.taking.compute_fingerprint"
            return Asked(lambda: find_fingerprint(request).answer, taken)
        case "perplexity":
            yardstick = Yardstick(PASSAGES[:1])
            return Asked(lambda: baseline_perplexity(loaded, yardstick), "fnet_core.evaluation.yardstick.measure")
        case "prune-scores":
            scored = "fnet_core.pruning.scores._computed"
            return Asked(lambda: find_scores(loaded, ["wanda-sp"], REQUEST)["wanda-sp"], scored)
        case _:
            computed = "fnet_core.pruning.factors.compute_factors"
            return Asked(lambda: find_factors(loaded, PASSAGES, 3), computed)


KINDS = ("atlas", "fingerprint", "perplexity", "prune-scores", "layer-factors")


def cut(path: Path, tenth: int) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * tenth // 10])


def flipped(path: Path, tenth: int) -> None:
    """One bit of one byte is another."""
    content = bytearray(path.read_bytes())
    content[min(len(content) * tenth // 10, len(content) - 1)] ^= 1
    path.write_bytes(content)


def of_format(path: Path, change: int) -> None:
    kind = path.parent.name
    found = artifacts.read_header(path)["format"]
    arrays, header = artifacts.load_artifact(path, kind, found)
    artifacts.save_artifact(path, kind, arrays, header, found + change)


def of_another_kind(path: Path) -> None:
    artifacts.save_artifact(path, "something-else", {"x": np.ones(2)}, {})


def of_other_content(path: Path) -> None:
    """Kind and format are right, and nothing else is."""
    artifacts.save_artifact(path, path.parent.name, {"x": np.ones(2)}, {}, artifacts.read_header(path)["format"])


def folder_in_its_place(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


DAMAGES: dict[str, Callable[[Path], None]] = {
    **{f"cut at {tenth} tenths": (lambda path, tenth=tenth: cut(path, tenth)) for tenth in range(10)},
    **{f"a bit at {tenth} tenths": (lambda path, tenth=tenth: flipped(path, tenth)) for tenth in (2, 6, 9, 10)},
    "older format": lambda path: of_format(path, -1),
    "newer format": lambda path: of_format(path, 1),
    "another kind": of_another_kind,
    "other content": of_other_content,
    "folder": folder_in_its_place,
    "link to itself": lambda path: (path.unlink(), path.symlink_to(path.name)),
    "link to nothing": lambda path: (path.unlink(), path.symlink_to(path.parent / "nowhere")),
}


@pytest.fixture(scope="module")
def first_answers(tmp_path_factory) -> dict[str, tuple[Path, Path, dict[str, np.ndarray]]]:
    """For each kind a cache folder with its answer, the answer's place in it, and its arrays."""
    answers = {}
    with pytest.MonkeyPatch.context() as patch:
        for kind in KINDS:
            model = save_tiny(tmp_path_factory.mktemp("model") / "m", max_position_embeddings=512)
            home = tmp_path_factory.mktemp(kind)
            patch.setenv("FNET_HOME", str(home))
            of_kind(kind, model).ask()
            (path,) = (home / kind).glob("*.safetensors")
            arrays, _ = artifacts.load_artifact(path, kind, artifacts.read_header(path)["format"])
            answers[kind] = (model, path, arrays)
    return answers


@pytest.fixture
def own_copy(first_answers, tmp_path, monkeypatch) -> Callable[[str], tuple[Asked, Path, dict[str, np.ndarray]]]:
    def copy(kind: str) -> tuple[Asked, Path, dict[str, np.ndarray]]:
        model, path, arrays = first_answers[kind]
        home = tmp_path / "home"
        shutil.copytree(path.parents[1], home)
        monkeypatch.setenv("FNET_HOME", str(home))
        return of_kind(kind, model), home / kind / path.name, arrays

    return copy


@pytest.mark.parametrize("kind", KINDS)
def test_a_kept_answer_says_which_model_and_which_fnet_it_is_of(kind, first_answers):
    _, path, _ = first_answers[kind]
    recipe = artifacts.read_header(path)["recipe"]
    assert recipe["fnet"] == __version__ and recipe["model"] and len(recipe["model_digest"]) == 64


def notes(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == memo.__name__]


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_ask_computes_nothing(kind, own_copy, monkeypatch, caplog):
    asked, path, _ = own_copy(kind)
    before = path.read_bytes()
    monkeypatch.setattr(asked.computing, None)
    asked.ask()
    assert path.read_bytes() == before and notes(caplog) == []


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_read_is_made_again_and_told_in_one_line(kind, damage, own_copy, monkeypatch, caplog):
    asked, path, arrays = own_copy(kind)
    DAMAGES[damage](path)
    with caplog.at_level(logging.WARNING):
        asked.ask()
    (note,) = notes(caplog)
    assert note.startswith(f"A kept {kind} could not be read and was made again (") and "\n" not in note
    again, _ = artifacts.load_artifact(path, kind, artifacts.read_header(path)["format"])
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_allclose(again[name], array, rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(asked.computing, None)
    asked.ask()
    assert len(notes(caplog)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_without_read_permission_is_made_again(kind, own_copy, monkeypatch, caplog):
    asked, path, _ = own_copy(kind)
    forbidden = path.read_bytes()

    def refusing(name, *arguments, **options):
        if Path(name) == path and path.read_bytes() == forbidden and not made:
            raise PermissionError(13, "Permission denied", str(name))
        return open(name, *arguments, **options)

    made: list[bool] = []
    kept = memo.keep

    def keeping(*arguments):
        found = kept(*arguments)
        made.append(True)
        return found

    monkeypatch.setattr(artifacts, "open", refusing, raising=False)
    monkeypatch.setattr(memo, "keep", keeping)
    asked.ask()
    (note,) = notes(caplog)
    assert "has no permission" in note
    asked.ask()
    assert len(notes(caplog)) == 1


@dataclass
class Counted:
    number: int

    def save(self, path: Path) -> None:
        artifacts.save_artifact(path, "counted", {"number": np.array(self.number)}, {}, 3)

    @classmethod
    def load(cls, path: Path) -> "Counted":
        arrays, _ = artifacts.load_artifact(path, "counted", 3)
        return cls(int(arrays["number"]))


COUNTED = memo.Kind("counted", Counted.load, 3, keyed_since=3, names=frozenset({"title"}))


def test_names_and_the_version_of_fnet_decide_nothing():
    recipe = {"size": 4, "title": "one"}
    key = COUNTED.key(recipe)
    assert COUNTED.key(recipe | {"title": "two"}) == COUNTED.key(memo.stamped(recipe)) == key
    assert COUNTED.key(recipe | {"size": 5}) != key


def test_a_raised_format_has_keys_of_its_own_and_the_first_one_keeps_those_it_had():
    recipe = {"size": 4}
    raised = memo.Kind("counted", Counted.load, 4, keyed_since=3)
    assert COUNTED.key(recipe) == artifacts.digest(recipe) != raised.key(recipe)


def test_what_the_computation_raises_leaves_no_trace():
    def cancelled() -> Counted:
        raise Cancelled

    with pytest.raises(Cancelled):
        memo.answered(COUNTED, {"size": 4}, cancelled)
    assert memo.known(COUNTED, {"size": 4}) is None
    path = COUNTED.path({"size": 4})
    assert memo.answered(COUNTED, {"size": 4}, lambda: Counted(7)) == memo.Found(Counted(7), path, computed=True)
    assert memo.answered(COUNTED, {"size": 4}, cancelled) == memo.Found(Counted(7), path, computed=False)


def test_a_folder_in_the_way_is_moved_aside_with_all_it_holds():
    path = COUNTED.path({"size": 4})
    (path / "somebodys").mkdir(parents=True)
    memo.keep(COUNTED, {"size": 4}, Counted(7))
    assert memo.known(COUNTED, {"size": 4}) == Counted(7)
    assert [aside.name for aside in path.parent.glob(".*.aside/*")] == ["somebodys"]


def test_an_answer_that_does_not_suffice_is_computed_again_and_replaced():
    recipe = {"size": 4}
    memo.keep(COUNTED, recipe, Counted(1))
    large = {"suffices": lambda kept: kept.number > 1}
    assert memo.known(COUNTED, recipe).number == 1 and memo.known(COUNTED, recipe, **large) is None
    found = memo.answered(COUNTED, recipe, lambda: Counted(2), **large)
    assert (found.answer.number, found.computed) == (2, True)
    assert memo.answered(COUNTED, recipe, lambda: Counted(3), **large).answer.number == 2
