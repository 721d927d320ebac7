"""A planted network that carries a capability is found, and no other; what was measured is kept."""

from dataclasses import replace

import numpy as np
import pytest
from support.capabilities import FIGURES, LETTERS, PLANTED, WIDTH, planted_atlas, planted_model
from support.kept_capabilities import known_lesions, known_preservation

from fnet_core.capability import profiles
from fnet_core.capability.dissociations import double_dissociations, helped, sentences, summary
from fnet_core.capability.keeping import KeepRequest, Preservation, keep_only, preserve, random_kept
from fnet_core.capability.lesions import LesionMatrix, LesionRequest, lesions
from fnet_core.capability.profiles import profile
from fnet_core.errors import Cancelled, RequestError
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.storage import artifacts
from fnet_core.texts import Passage

INHIBIT = LesionRequest(draws=2, seed=3)


@pytest.fixture(scope="module")
def matrix(tmp_path_factory) -> LesionMatrix:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FNET_HOME", str(tmp_path_factory.mktemp("home")))
        return lesions(planted_model(), planted_atlas(), PLANTED, INHIBIT)


def test_the_planted_model_knows_its_figures_and_letters():
    assert profile(planted_model(), PLANTED).accuracy_C.tolist() == [1.0, 1.0]


def test_the_planted_networks_are_found_and_no_other(matrix):
    assert matrix.networks == (0, 1, 2, 3) and matrix.key_neurons == (10, 26, 10, 1)
    assert matrix.accuracy_KC.tolist() == [[0.5, 1.0], [1.0, 0.5], [1.0, 1.0], [1.0, 1.0]]
    assert np.argwhere(matrix.surviving_KC).tolist() == [[0, 0], [1, 1]]
    items = len(FIGURES) - 2
    assert matrix.p_KC[0, 0] == pytest.approx(0.5**items) and matrix.p_KC[1, 1] == pytest.approx(
        0.5 ** (len(LETTERS) - 2)
    )
    assert matrix.q_KC[0, 0] == pytest.approx(4 * 0.5**items)  # eight cells, the second smallest of them
    assert np.isfinite(matrix.random_KMI).all(axis=(1, 2)).tolist() == [
        True,
        True,
        False,
        False,
    ]  # the others do nothing
    first = matrix.table().iloc[0]
    assert (first.network, first.capability, first.survives) == (1, "tense", True)


def test_the_two_are_a_double_dissociation_in_words(matrix):
    (found,) = double_dissociations(matrix)
    assert (found.first, found.second, found.lost_first, found.lost_second) == (0, 1, "sums", "tense")
    assert found.strength == 0.5
    said = "Network 0 (figures) carries one-digit sums and spares tense; network 1 (letters) does the reverse."
    assert found.sentence.startswith(said) and "one-digit sums 1.00 to 0.50, tense 1.00 to 1.00" in found.sentence
    assert sentences(matrix)[0].startswith("2 of 8 cells are a loss")
    assert summary(matrix)["dissociations"][0]["networks"] == [0, 1] and summary(matrix)["surviving"] == 2


def test_a_network_that_takes_a_little_of_both_spares_neither(matrix):
    little = matrix.changed_KI.copy()
    lost = np.flatnonzero(matrix.capability_I == 1)[:4]  # of 24: p is 1/16, and the loss 0.17
    little[0, lost] = 0
    blurred = replace(matrix, changed_KI=little)
    assert blurred.surviving_KC[0].tolist() == [True, False] and not blurred.spared_KC[0, 1]
    assert double_dissociations(blurred) == ()


def test_a_draw_that_does_as_much_clears_the_network(matrix):
    damaging = matrix.random_KMI.copy()
    damaging[0, 1] = matrix.changed_KI[0]
    cleared = replace(matrix, random_KMI=damaging)
    assert np.argwhere(cleared.surviving_KC).tolist() == [[1, 1]]
    assert double_dissociations(cleared) == () and "No double dissociation." in sentences(cleared)
    uncontrolled = replace(matrix, possible_K=np.arange(4) > 0)
    assert np.isnan(uncontrolled.q_KC[0]).all() and np.isfinite(uncontrolled.q_KC[1:]).all()


def test_amplification_that_helps_is_told_and_none_is_none(matrix):
    amplified = replace(
        matrix,
        recipe=matrix.recipe | {"gain": 1.5},
        untouched_I=matrix.changed_KI[0],
        random_KMI=matrix.random_KMI * 0 + 0.5,
    )
    cells = helped([amplified, matrix])
    assert set(cells["gain"]) == {1.5} and len(cells) == 8
    assert cells[cells["helps"]][["network", "capability"]].values.tolist() == [[1, "sums"], [2, "sums"], [3, "sums"]]
    assert not helped([replace(matrix, recipe=matrix.recipe | {"gain": 1.5})])["helps"].any()
    assert len(helped([matrix])) == 0


def test_a_cancelled_matrix_goes_on_and_the_whole_one_is_read_without_a_model(matrix):
    loaded, atlas = planted_model(), planted_atlas()
    seen = []

    def stop_in_the_third(stage, fraction):
        if stage == "lesions" and fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        lesions(loaded, atlas, PLANTED, INHIBIT, stop_in_the_third, seen.append)
    assert [len(each.networks) for each in seen] == [1, 2] and not seen[-1].done
    assert known_lesions(atlas, PLANTED, INHIBIT) is None
    kept = {path: path.stat().st_mtime_ns for path in artifacts.list_artifacts(profiles.KIND)}
    assert len(kept) == 7  # untouched, and two networks with two draws each
    whole = lesions(loaded, atlas, PLANTED, INHIBIT)
    assert whole.done and all(path.stat().st_mtime_ns == at for path, at in kept.items())
    assert (whole.changed_KI == matrix.changed_KI).all() and np.array_equal(
        whole.random_KMI, matrix.random_KMI, equal_nan=True
    )
    again = known_lesions(atlas, PLANTED, INHIBIT)
    assert again is not None and again.table().equals(whole.table())
    assert known_lesions(atlas, PLANTED, replace(INHIBIT, gain=2.0)) is None
    assert known_lesions(replace(atlas, recipe={"site": "mlp", "scope": "model"}), PLANTED, INHIBIT) is None


def test_only_the_networks_are_kept():
    atlas = planted_atlas()
    edit = keep_only(atlas, 2, 3.0)
    assert len(edit.neurons) == 2 * WIDTH - 36 and edit.gain == 0 and (0, 35) not in edit.neurons
    keep = [np.arange(6) < 2, np.zeros(4, dtype=bool)]
    drawn = random_kept(keep, 5, seed=1)
    assert {tuple(int(layer.sum()) for layer in each) for each in drawn} == {(2, 0)}
    assert len({tuple(each[0].tolist()) for each in drawn}) > 1


def test_the_preservation_curve_of_the_planted_model():
    loaded, atlas = planted_model(), planted_atlas()
    yardstick = Yardstick((Passage("p", "abcdefgh 0123456 klmnop", "test"),), window=16)
    request = KeepRequest((1, 2), (3.0,), draws=2)
    found = preserve(loaded, atlas, PLANTED, yardstick, request)
    figures, both = found.points
    assert figures.accuracy_C.tolist() == [1.0, 0.5] and both.accuracy_C.tolist() == [1.0, 1.0]
    assert both.perplexity == pytest.approx(found.untouched_perplexity) and both.neurons == 36
    assert both.random_accuracy < 1 and both.random_perplexity > both.perplexity
    assert "2 networks at |z| > 3 (20.0% of the neurons)" in found.sentence
    again = known_preservation(atlas, PLANTED, yardstick, request)
    assert (
        isinstance(again, Preservation) and again.table().equals(found.table()) and again.summary() == found.summary()
    )


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda: LesionRequest(gain=1.0), "A gain of 1 changes nothing"),
        (lambda: LesionRequest(draws=0), "0 random lesions are out of range"),
        (lambda: LesionRequest(threshold=9.0).edits(planted_atlas()), "lower the threshold"),
        (lambda: LesionRequest(gain=101.0).edits(planted_atlas()), "out of range"),
        (lambda: KeepRequest((5,)).edits(planted_atlas()), "5 networks are out of range; this atlas has 1 to 4"),
        (lambda: KeepRequest((1,), (9.0,)).edits(planted_atlas()), "lower the threshold"),
        (lambda: KeepRequest(()), "Nothing is to be kept"),
    ],
)
def test_wrong_requests(ask, sentence):
    with pytest.raises(RequestError, match=sentence.replace("|", r"\|")):
        ask()
