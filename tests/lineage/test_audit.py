"""An audit of twelve models: families recovered, p-values corrected, failures told, every pair compared once."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from support.fingerprints import SURE, hand_fingerprint, hand_reference, waves
from support.kin import PLAN, member, members

from fnet_core.errors import Cancelled, RequestError
from fnet_core.lineage import audit as auditing
from fnet_core.lineage import pairs as pairs_module
from fnet_core.lineage import subjects
from fnet_core.lineage.audit import Audit, audit, judged
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.pairs import Neurons, PairEvidence, pair_of
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.lineage.subjects import Failure, Taken, subject_of, take

REQUEST = FingerprintRequest("")
MEMBERS = members()
REFERENCE = hand_reference(MEMBERS[0].protocol_digest)


def taken(fingerprints: list[Fingerprint], *failures: Failure) -> Taken:
    return Taken(tuple(map(subject_of, fingerprints)), failures)


@pytest.fixture(scope="module")
def twelve(tmp_path_factory) -> Audit:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FNET_HOME", str(tmp_path_factory.mktemp("home")))
        return audit(taken(MEMBERS), reference=REFERENCE)


def test_the_families_are_recovered_exactly(twelve):
    found = [sorted(twelve.labels[at] for at in family.members) for family in twelve.families]
    assert found == [[f"{name}-{child}" for child in range(count)] for name, count in PLAN.items() if count > 1]
    for a, b in combinations(range(12), 2):
        kin = twelve.labels[a][:3] == twelve.labels[b][:3]
        assert twelve.pair(a, b).outcome == twelve.pair(b, a).outcome == ("derived" if kin else "independent")


def test_every_tree_is_the_parent_with_its_children(twelve):
    for family in twelve.families:
        name = twelve.labels[family.members[0]][:3]
        edges = {tuple(sorted((twelve.labels[a], twelve.labels[b]))) for a, b in family.branches}
        assert edges == {(f"{name}-0", f"{name}-{child}") for child in range(1, PLAN[name])}
        if PLAN[name] > 2:
            assert twelve.labels[family.centre] == f"{name}-0"


def test_p_values_are_corrected_by_hand(twelve):
    """Holm by its formula: the largest of (m - j + 1) times the j-th smallest p, up to and with one's own."""
    p = np.array([pair.p for pair in twelve.pairs])
    order = np.argsort(p, kind="stable")
    by_hand = np.minimum(1, np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]))
    corrected = np.array([pair.holm_p for pair in twelve.pairs])
    assert twelve.tested == 66 and corrected[order] == pytest.approx(by_hand)
    floor = twelve.pairs[0].evidence.neurons.test.floor
    assert corrected.min() == pytest.approx(66 * floor) and f"below {66 * floor:.2g}" in twelve.correction


def planted(nominal_p: float, score: float = 0.45) -> PairEvidence:
    """Evidence of a pair that the fingerprint leaves open."""
    evidence = replace(SURE, score=score, interval=(score - 0.02, score + 0.02))
    return PairEvidence({}, evidence, Neurons("gated", nominal_p, None, (0, 1), (0, 1)), 0.0)


def test_planted_p_values():
    """Four tests: 4 x 1e-8, 3 x 1e-7 hold; 2 x 0.03 does not; a pair of one model is no test and is not counted."""
    p = (0.03, 1e-7, 0.9, 1e-8)
    same = replace(planted(1e-30), evidence=replace(SURE, same_model=True))
    people = [subject_of(replace(MEMBERS[0], model=replace(MEMBERS[0].model, name=name))) for name in "abcde"]
    places = [(0, 1), (0, 2), (0, 3), (0, 4), (1, 2)]
    found = judged(people, places, [*map(planted, p), same], None)
    assert [pair.holm_nominal_p for pair in found[:4]] == pytest.approx([0.06, 3e-7, 0.9, 4e-8])
    assert [pair.basis for pair in found] == [None, "neurons", None, "neurons", "verdict"]
    assert found[4].holm_p is None and found[4].outcome == "same model"


def test_a_contradicted_pair_must_survive_the_correction(monkeypatch):
    """What contradicts for one pair says nothing among a hundred (with the real bar of 1e-6, among 100,000)."""
    monkeypatch.setattr(auditing, "CONTRADICTED", 1e-3)
    people = [subject_of(MEMBERS[0]), subject_of(MEMBERS[1])]
    many = [planted(9e-4)] + [planted(0.5)] * 99
    found = judged(people, [(0, 1)] * len(many), many, None)
    assert found[0].holm_nominal_p == pytest.approx(0.09) and found[0].basis is None
    assert judged(people, [(0, 1)], many[:1], None)[0].basis == "neurons"


def test_one_of_twelve_fails_and_the_rest_completes(tmp_path, twelve):
    paths = []
    for fingerprint in MEMBERS:
        paths.append(tmp_path / f"{fingerprint.model.name}.safetensors")
        fingerprint.save(paths[-1])
    content = bytearray(paths[3].read_bytes())
    content[-9] ^= 1
    paths[3].write_bytes(content)
    seen = []
    found = take(paths, REQUEST, told=lambda number, stage, fraction: seen.append((number, stage)))
    assert [failure.label for failure in found.failures] == [str(paths[3])]
    assert "was changed after it was made" in found.failures[0].why and len(found.subjects) == 11
    assert [number for number, stage in seen if stage == "done"] == [at for at in range(12) if at != 3]
    assert (3, f"failed: {found.failures[0].why}") in seen
    result = audit(found, reference=REFERENCE)
    lost = MEMBERS[3].model.name
    assert [len(family.members) for family in result.families] == [
        sum(twelve.labels[at] != lost for at in family.members) for family in twelve.families
    ]
    assert len(result.pairs) == 55 and "could not be read: " in result.sentences()[-1]
    assert result.models()["state"].iloc[-1].startswith("failed: ") and len(result.models()) == 12
    assert result.summary()["failed"] == [{"label": str(paths[3]), "why": found.failures[0].why}]


def test_whatever_goes_wrong_with_one_model_stops_no_other(monkeypatch):
    def broken(path):
        raise MemoryError("no room for this one")

    monkeypatch.setattr(subjects.Fingerprint, "load", broken)
    found = take([MEMBERS[0], "gone.safetensors", MEMBERS[1]], REQUEST)
    assert [each.label for each in found.subjects] == [MEMBERS[0].model.name, MEMBERS[1].model.name]
    assert found.failures[0].why == "It failed while running: MemoryError: no room for this one"

    def cancelled(path):
        raise Cancelled

    monkeypatch.setattr(subjects.Fingerprint, "load", cancelled)
    with pytest.raises(Cancelled):
        take(["gone.safetensors"], REQUEST)


def test_too_few_are_refused_with_the_reasons():
    with pytest.raises(RequestError, match=r"^1 of 2 models could be read, and 2 are needed. b: It is gone.$"):
        audit(taken(MEMBERS[:1], Failure("b", "It is gone.")))


def test_a_pair_is_compared_once_and_judged_whenever_it_is_read(monkeypatch):
    pair = [member("ant", 0), member("ant", 1)]
    first = audit(taken(pair), reference=REFERENCE)

    def forbidden(*_, **__):
        raise AssertionError("the pair was compared again")

    monkeypatch.setattr(pairs_module, "compare", forbidden)
    again = audit(taken(pair[::-1]), reference=hand_reference("another protocol"))
    assert first.pairs[0].outcome == "derived" and again.pairs[0].outcome == "inconclusive"
    assert first.pairs[0].score == again.pairs[0].score
    assert "measured with other passages or parameters" in " ".join(again.pairs[0].verdict.reasons)
    with pytest.raises(AssertionError, match="compared again"):
        audit(taken(pair), resamples=300)


def test_a_kept_pair_is_the_comparison(tmp_path):
    a, b = member("bee", 0), member("bee", 1, kept=(0, 2, 3))
    whole = compare(a, b, reference=REFERENCE)
    for first, second in ((a, b), (b, a)):
        found = pair_of(subject_of(first), subject_of(second), lambda subject: subject.read()).answer
        expected = whole if first is a else compare(b, a, reference=REFERENCE)
        assert found.score == expected.score and found.evidence.interval == expected.interval
        assert found.neurons.matched_J == tuple(expected.independence.matched_J)
        assert found.neurons.test == expected.independence.evidence()
        verdict = found.judged(first.model.name, second.model.name, REFERENCE)
        assert verdict == expected.verdict
        found.save(tmp_path / "pair.safetensors")
        assert PairEvidence.load(tmp_path / "pair.safetensors") == found


def test_a_cut_model_points_at_its_source():
    found = audit(taken([member("bee", 1, kept=(0, 3)), member("bee", 0)]), reference=REFERENCE)
    cut = found.cut(0, 1)
    assert (found.labels[cut.source], found.labels[cut.result]) == ("bee-0", "bee-1")
    words = " ".join(found.sentences())
    assert "bee-1 has 2 of the 4 layers of bee-0, in order, and no other" in words
    assert found.summary()["families"][0]["branches"][0]["cut_from"] == "bee-0"


def test_fingerprints_that_were_not_taken_alike_are_told():
    other = hand_fingerprint(waves(9, seed=4), "other")
    found = audit(taken([*MEMBERS[:2], other]), reference=REFERENCE)
    assert [pair.outcome for pair in found.pairs].count("not comparable") == 2
    assert "2 pairs could not be compared. The first: The fingerprints of" in " ".join(found.sentences())
    row = found.summary()["pairs"][1]
    assert row["score"] is None and row["outcome"] == "not comparable" and "cannot be compared" in row["statement"]


def test_models_of_one_name_are_told_apart():
    one, two = (replace(MEMBERS[0], model=replace(MEMBERS[0].model, digest=d * 8)) for d in "xy")
    labels = [each.label for each in subjects.distinct([subject_of(each) for each in (one, two, two)])]
    name = MEMBERS[0].model.name
    assert labels == [f"{name} (xxxxxxxx)", f"{name} (yyyyyyyy) no. 1", f"{name} (yyyyyyyy) no. 2"]


def test_the_table_and_the_json_are_of_the_same_numbers(twelve):
    table, summary = twelve.table(), twelve.summary()
    json.dumps(summary, allow_nan=False)
    assert len(table) == len(summary["pairs"]) == 66
    assert table["score"].tolist() == [row["score"] for row in summary["pairs"]]
    assert table.loc[table["family"] == 1, "outcome"].eq("derived").sum() == 10
    assert summary["families"][0]["centre"] == "ant-0" and len(summary["families"][0]["branches"]) == 4
    assert sorted(twelve.order) == list(range(12)) and sorted(twelve.order[:5]) == list(twelve.families[0].members)
    assert twelve.labels[twelve.order[0]] == "ant-0" and len(twelve.headlines()) == 4


def test_what_is_given_may_be_a_folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    MEMBERS[0].save(tmp_path / "b.safetensors")
    MEMBERS[1].save(tmp_path / "a.safetensors")
    inside = [str(tmp_path / name) for name in ("a.safetensors", "b.safetensors", "model")]
    assert subjects.spread(["tiny", tmp_path]) == ["tiny", *inside]
    assert subjects.spread([str(tmp_path / "model"), "x.safetensors"]) == [str(tmp_path / "model"), "x.safetensors"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match="holds no model and no fingerprint file"):
        subjects.spread([tmp_path / "empty"])
