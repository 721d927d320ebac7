"""The lineage table: its bounds are those of the binomial, and a pair is judged by the others alone."""

from dataclasses import replace

import pytest
from scipy.stats import binom
from support.fingerprints import SURE

from benchmarks.lineage_table import Judged, bound, outcomes, reference_of
from fnet_core.lineage.joint import ApartTest

APART = ApartTest(0.5, False, 0.001, 1431, 3, 0, 35, 2)
RELATED = replace(APART, p=0.001, contradicted=True, matched=3)


@pytest.mark.parametrize(("count", "of"), [(0, 60), (3, 200)])
def test_the_bound_is_where_so_few_would_be_seen_once_in_twenty(count, of):
    assert binom.cdf(count, of, bound(count, of)) == pytest.approx(0.05)


def test_bounds_end_at_one():
    assert bound(5, 5) == 1


def judged(how, score, test):
    evidence = replace(SURE, score=score, interval=(score - 0.01, score + 0.01), test=test)
    return Judged("a", "b", how, evidence, 1.0, -0.1, 0.1)


def test_a_pair_is_judged_by_the_others():
    found = [judged("noise", 0.9, RELATED), judged("noise", 0.8, RELATED), judged("noise", 0.7, RELATED)]
    found += [judged("independent", score, APART) for score in (0.1, 0.2, 0.3)]
    told = outcomes([*found, judged("noise", 0.75, RELATED), judged("independent", 0.72, APART)], reference_of(found))
    assert told["test"] == ["derived"] * 3 + ["independent"] * 3 + ["derived", "independent"]
    assert told["fingerprint"][6:] == ["derived", "derived"] and told["both"][6:] == ["derived", "inconclusive"]
