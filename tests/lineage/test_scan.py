"""A scan: the set of possible parents, what it was calibrated on, "none" included, and how much work it is."""

from dataclasses import replace

import pytest
from scipy.stats import binom
from support.fingerprints import hand_reference
from support.kin import member, members

from fnet_core.errors import RequestError
from fnet_core.lineage import pairs
from fnet_core.lineage.calibration import calibration_of
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.scan import Coverage, scan
from fnet_core.lineage.subjects import Failure, Taken, subject_of

KNOWN = members()
REFERENCE = hand_reference(KNOWN[0].protocol_digest)


def known(fingerprints, *failures: Failure) -> Taken:
    return Taken(tuple(map(subject_of, fingerprints)), failures)


def test_the_parent_is_in_the_set_and_no_stranger():
    found = scan(subject_of(member("ant", 7)), known(KNOWN), reference=REFERENCE)
    assert set(found.possible) == {f"ant-{child}" for child in range(5)} and found.possible[0] == "ant-0"
    assert not found.none_possible and "none" not in found.sentence
    words = " ".join(found.sentences())
    assert "is contradicted; by measurement the chance that one of 12 unrelated models" in words
    assert "A member need not be the parent" in words and "`python -m benchmarks.independence`" in words


def test_a_stranger_has_none_for_a_parent():
    found = scan(subject_of(member("elk", 0)), known(KNOWN), reference=REFERENCE)
    assert found.possible == () and found.none_possible
    assert found.sentence == "The parent of elk-0 could be: none of them."


def test_the_coverage_is_that_of_the_calibration():
    found = scan(subject_of(member("cod", 3)), known(KNOWN), reference=REFERENCE)
    gated = calibration_of("gated")
    (coverage,) = found.coverages
    assert (coverage.kept, coverage.of) == (gated.derived - gated.missed, gated.derived)
    assert f"{coverage.kept} of {coverage.of} parents were kept" in " ".join(found.sentences())


def test_the_lower_bound_is_clopper_and_pearsons():
    """At the bound, so many parents kept or more have a chance of 5 % by the binomial distribution."""
    for kept, of in ((33, 35), (35, 35), (1, 4)):
        bound = Coverage(kept, of, "made up").at_least
        assert binom.sf(kept - 1, of, bound) == pytest.approx(0.05)
    assert Coverage(0, 9, "made up").at_least == 0.0


def test_without_neurons_the_score_alone_decides_and_says_what_it_was_measured_on():
    old = [replace(each, neurons=None) for each in KNOWN]
    child = replace(member("bee", 9), neurons=None)
    found = scan(subject_of(child), known(old), reference=REFERENCE)
    assert set(found.possible) == {f"bee-{child}" for child in range(4)} and not found.none_possible
    (coverage,) = found.coverages
    assert (coverage.kept, coverage.of) == (2, 3) and "score alone" in coverage.source


def test_where_nothing_is_known_nothing_is_ruled_out():
    old = [replace(each, neurons=None) for each in KNOWN[:3]]
    child = subject_of(replace(member("bee", 9), neurons=None))
    found = scan(child, known(old), reference=hand_reference("another protocol"))
    assert len(found.possible) == 3 and found.none_possible and found.coverages == ()
    assert found.candidates[0].reason == "nothing that was measured can rule it out"


def test_one_more_model_costs_one_comparison_for_each_known_one(monkeypatch):
    made = []
    monkeypatch.setattr(pairs, "compare", lambda a, b, **choices: made.append(1) or compare(a, b, **choices))
    child = subject_of(member("ant", 7))
    first = scan(child, known(KNOWN), reference=REFERENCE)
    assert len(made) == 12
    again = scan(child, known(KNOWN), reference=REFERENCE)
    assert len(made) == 12 and again.table().equals(first.table())


def test_directions_failures_and_an_empty_folder():
    cut = subject_of(member("bee", 1, kept=(0, 2)))
    found = scan(cut, known([member("bee", 0)], Failure("lost", "It is gone.")), reference=REFERENCE)
    words = " ".join(found.sentences())
    assert "bee-1 has 2 of the 4 layers of bee-0" in words and "bee-0 is a parent that fits" in words
    assert "lost could not be read: It is gone." in words
    turned = scan(subject_of(member("bee", 0)), known([member("bee", 1, kept=(0, 2))]), reference=REFERENCE)
    assert "bee-1 is rather a child of it" in " ".join(turned.sentences())
    assert found.summary()["candidates"][0]["label"] == "bee-0"
    with pytest.raises(RequestError, match="no known fingerprint"):
        scan(cut, known([]))


def test_only_the_nearest_are_compared_when_that_is_asked_for():
    child = subject_of(member("bee", 7))
    found = scan(child, known(KNOWN), nearest=4, reference=REFERENCE)
    assert {each.subject.label for each in found.candidates} == {f"bee-{n}" for n in range(4)}
    assert found.screened == 8 and "Only the 4 nearest by a short vector of 12" in " ".join(found.sentences())
    assert scan(child, known(KNOWN), nearest=12, reference=REFERENCE).screened == 0
    with pytest.raises(RequestError, match="0 nearest models are out of range"):
        scan(child, known(KNOWN), nearest=0)
