"""Comparing fingerprints: matching against brute force, Spearman against scipy, symmetry, interval, null, bad input."""

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import LinearRegression
from support.fingerprints import LENGTHS, hand_fingerprint, hand_reference, mixed, waves, with_neurons

from fnet_core.errors import RequestError
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.matching import match, passage_interval
from fnet_core.lineage.surface import surface_directions
from fnet_core.lineage.verdict import REFERENCE_FILE

SIGNALS = waves(10)


def base(**changes):
    return hand_fingerprint(SIGNALS, "base", **changes)


def relative(own=0.5, **changes):
    return hand_fingerprint(mixed(SIGNALS, own, 3), "relative", layers=6, seed=5, **changes)


def stranger(networks=10, tokens=(31, 60, 52, 30, 47), **changes):
    return hand_fingerprint(waves(networks, tokens, seed=8), "stranger", seed=6, **changes)


def judged(a, b, **options):
    return compare(a, b, reference=hand_reference(a.protocol_digest), **options)


def test_matching_against_brute_force():
    rng = np.random.default_rng(0)
    matrix = rng.uniform(size=(6, 7))
    matrix[1] = np.nan
    matrix[2, 3] = np.nan
    rows, columns = np.array([0, 2, 3, 5]), np.array([1, 2, 3, 4, 6])
    filled = np.nan_to_num(matrix)
    best = max(sum(filled[r, c] for r, c in zip(rows, p, strict=True)) for p in itertools.permutations(columns, 4))
    pairs, values = match(matrix, rows, columns)
    assert values.sum() == pytest.approx(best)
    assert (np.diff(values) <= 0).all() and len({*pairs[:, 0]}) == len({*pairs[:, 1]}) == 4
    np.testing.assert_array_equal(filled[pairs[:, 0], pairs[:, 1]], values)


def on_grid(side, passage):
    """(K, G) signals at every fourth character, by hand."""
    length, series_KT = LENGTHS[passage], side.signals[passage]
    return np.stack([series_KT[:, c * series_KT.shape[1] // length] for c in range(0, length, 4)], axis=1)


def test_the_matrix_against_scipy():
    """Partial rank correlation: Pearson's r of what a regression on the text's surface leaves of the ranks."""
    a, b = base(), stranger()
    found = judged(a, b)
    surface = surface_directions(tuple(passage.text for passage in a.passages))
    for k, j in ((0, 3), (7, 9)):
        rho = []
        for p, directions in enumerate(surface):
            ranked = np.stack([stats.rankdata(on_grid(side, p)[n]) for side, n in ((a, k), (b, j))], axis=1)
            left = ranked - LinearRegression().fit(directions, ranked).predict(directions)
            rho.append(abs(stats.pearsonr(*left.T).statistic))
        assert found.matrix_KJ[k, j] == pytest.approx(np.mean(rho), abs=1e-9)
    assert found.score == pytest.approx(found.values_M.mean())


def test_the_plain_score_against_scipy():
    a, b = base(), stranger()
    rho = [abs(stats.spearmanr(on_grid(a, p), on_grid(b, p), axis=1).statistic[:10, 10:]) for p in range(len(LENGTHS))]
    mean = np.mean(rho, axis=0)
    assert judged(a, b).plain_score == pytest.approx(mean[linear_sum_assignment(-mean)].mean(), abs=1e-9)


def test_models_that_know_the_surface_alone_do_not_agree():
    """Signals that follow capitals, marks and places, each with noise of its own: the plain score is taken in."""
    surface = surface_directions(tuple(passage.text for passage in base().passages))

    def knows_the_surface(seed):
        rng = np.random.default_rng(seed)
        return [3 * d[:, :8].T / d[:, :8].std() + 0.5 * rng.normal(size=(8, len(d))) for d in surface]

    a, b = (hand_fingerprint(knows_the_surface(seed), f"shallow {seed}", seed=seed) for seed in (1, 2))
    found = judged(a, b)
    assert found.plain_score > 0.7 and found.score < 0.45


def test_a_model_against_itself():
    found = judged(base(), base())
    assert found.score == pytest.approx(1) and found.interval == pytest.approx((1, 1))
    assert found.matched_M2[:, 0].tolist() == found.matched_M2[:, 1].tolist()
    assert found.curves.mean == pytest.approx(1) and found.layers.middle == pytest.approx(1)
    assert "one and the same model" in found.verdict.reasons[0]


def test_relatives_and_strangers():
    near, far = judged(base(), relative(0.3)), judged(base(), stranger())
    assert near.score > 0.7 and near.verdict.outcome == "derived"
    assert far.score < 0.5 and far.verdict.outcome != "derived"
    assert all(null < 0.5 for null in near.null_scores)


def test_the_other_way_round_is_the_same():
    a, b = relative(), stranger(networks=10)
    there, back = judged(a, b, seed=4), judged(b, a, seed=4)
    assert there.score == back.score and there.interval == back.interval and there.null_scores == back.null_scores
    assert there.published == back.published and there.verdict.outcome == back.verdict.outcome
    assert there.curves == back.curves
    np.testing.assert_array_equal(there.matrix_KJ, back.matrix_KJ.T)
    np.testing.assert_array_equal(there.layers.heatmap_LJ, back.layers.heatmap_LJ.T)
    assert there.layers.best == back.layers.best
    np.testing.assert_array_equal(there.matched_M2, back.matched_M2[:, ::-1])
    assert (there.a.model.name, back.a.model.name) == ("relative", "stranger")
    assert "relative and stranger" in there.verdict.reasons[0] and "stranger and relative" in back.verdict.reasons[0]


def test_the_other_way_round_with_unequal_counts():
    a, b = base(), hand_fingerprint(waves(7, (31, 60, 52, 30, 47), seed=8), "fewer", layers=6, seed=6)
    b = replace(b, recipe=b.recipe | {"protocol": a.protocol})
    there, back = judged(a, b), judged(b, a)
    assert there.score == back.score and there.interval == back.interval and there.null_scores == back.null_scores
    assert there.matrix_KJ.shape == (10, 7) and len(there.values_M) == 7
    np.testing.assert_array_equal(there.matrix_KJ, back.matrix_KJ.T)
    np.testing.assert_array_equal(there.matched_M2, back.matched_M2[:, ::-1])
    np.testing.assert_array_equal(there.passage_values_MP, back.passage_values_MP)
    there, back = there.summary(), back.summary()
    assert [(row["a"], row["b"]) for row in there["matched"]] == [(row["b"], row["a"]) for row in back["matched"]]


def test_file_against_live(tmp_path):
    b = relative()
    b.save(tmp_path / "b.safetensors")
    live, read = judged(base(), b), judged(base(), type(b).load(tmp_path / "b.safetensors"))
    assert read.score == pytest.approx(live.score, abs=1e-6)
    assert read.interval == pytest.approx(live.interval, abs=1e-6)
    np.testing.assert_allclose(read.matrix_KJ, live.matrix_KJ, atol=1e-6)
    assert read.summary() == live.summary()


def test_silent_networks_are_left_out_and_counted():
    signals = [s.copy() for s in SIGNALS]
    for s in signals:
        s[4] = 0
    signals[1][6] = 0
    counts = base().key_counts_KL.copy()
    counts[2] = 0
    found = judged(hand_fingerprint(signals, "silent", key_counts_KL=counts), relative())
    sides = (found.left_out_a, found.left_out_b)
    assert sides == ((2, 4), ())
    assert np.isnan(found.matrix_KJ[[2, 4]]).all() and not np.isnan(found.matrix_KJ[6]).any()
    assert len(found.values_M) == 8 and not {2, 4} & {*found.matched_M2[:, 0].tolist()}
    row = found.matched_M2[:, 0].tolist().index(6)
    assert np.isnan(found.passage_values_MP[row]).tolist() == [False, True, False, False, False]


def test_the_interval_of_one_pair_against_scipys_bootstrap():
    values = np.random.default_rng(2).uniform(0.3, 0.8, (1, 40))
    low, high = passage_interval(values, 8000, 0)
    found = stats.bootstrap((values[0],), np.mean, method="percentile", n_resamples=8000, rng=1).confidence_interval
    assert (low, high) == pytest.approx((found.low, found.high), abs=0.006)
    assert passage_interval(values, 500, 3) == passage_interval(values, 500, 3)
    assert passage_interval(values[:, :1], 100, 0) is None


def test_pairs_that_are_never_known_count_as_nothing_in_score_and_interval():
    values = np.full((3, 12), np.nan)
    values[0] = 0.6
    assert passage_interval(values, 500, 0) == pytest.approx((0.2, 0.2))
    rng = np.random.default_rng(4)
    values[0], values[1, :9] = rng.uniform(0.5, 0.9, 12), rng.uniform(0.2, 0.4, 9)

    def mean(resample):
        kept = values[:, resample]
        return np.mean([row[~np.isnan(row)].mean() if not np.isnan(row).all() else 0.0 for row in kept])

    low, high = passage_interval(values, 4000, 0)
    drawn = [mean(rng.integers(0, 12, 12)) for _ in range(4000)]
    score = mean(np.arange(12))
    expected = score + (np.quantile(drawn, [0.025, 0.975]) - score) * np.sqrt(12 / 11)
    assert (low, high) == pytest.approx(tuple(expected), abs=0.004)


def test_more_passages_narrow_the_interval():
    rng = np.random.default_rng(5)
    few, many = (passage_interval(rng.uniform(0.2, 0.6, (7, p)), 2000, 0) for p in (6, 96))
    assert few[1] - few[0] > 2 * (many[1] - many[0])


def test_signals_that_ignore_the_text_show_in_the_null():
    """Every passage gives the same series, so mismatched passages agree as well, and no verdict is given."""
    rng = np.random.default_rng(7)
    series = rng.normal(size=(10, 50)).cumsum(axis=1)
    signals = [series[:, :t] + 0.01 * rng.normal(size=(10, t)) for t in (40, 50, 46, 43, 42)]
    found = judged(hand_fingerprint(signals, "deaf"), hand_fingerprint(signals[:5], "deaf too", seed=2))
    assert found.score > 0.9 and max(found.null_scores) > 0.8
    assert found.verdict.outcome == "inconclusive" and "whatever the text says" in " ".join(found.verdict.reasons)


def test_the_published_count_by_hand():
    a, b = base(), relative(0.3)
    expected = 0
    for k, j in itertools.product(range(10), range(10)):
        rho = [stats.spearmanr(x[k], y[j]).statistic for x, y in zip(a.signals, b.signals, strict=True)]
        expected += np.mean(rho) > 0.5
    assert judged(a, b).published == expected > 5
    longer = [np.concatenate([s, s[:, :7]], axis=1) for s in b.signals]
    grids = b.grids
    assert judged(a, replace(b, signals=tuple(longer), grids=grids)).published == expected


def test_inputs_are_not_changed():
    a, b = base(), relative()
    before = a.content_digest(), b.content_digest()
    judged(a, b)
    assert (a.content_digest(), b.content_digest()) == before


def test_tables():
    found = judged(base(), relative())
    table = found.table()
    assert table["value"].is_monotonic_decreasing and len(table) == 10
    first = table.iloc[0]
    assert first.label_a == f"base <b>{first.network_a}</b>"
    assert first.key_neurons_b == found.b.key_counts_KL[first.network_b].sum()
    k, j, value = found.strongest(1)[0]
    assert value == np.nanmax(found.matrix_KJ) == found.matrix_KJ[k, j]


def test_without_a_reference_there_is_no_verdict(monkeypatch):
    monkeypatch.setattr("fnet_core.lineage.comparison.load_reference", lambda: None)
    found = compare(base(), relative())
    assert found.verdict.outcome == "inconclusive" and "no reference distribution" in " ".join(found.verdict.reasons)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"score": "other"}, "passages to score on"),
        ({"find": "other", "step": 8}, "grid step, passages to find networks on"),
        ({"method_versions": [9, 9]}, "version of the method"),
    ],
)
def test_another_probe_set_is_refused_with_the_way_out(change, words):
    other = relative()
    other = replace(other, recipe=other.recipe | {"protocol": other.protocol | change})
    with pytest.raises(RequestError, match=f"differ in: {words}; make both again .*fnet_core fingerprint"):
        compare(base(), other)


def test_constant_signals_are_refused_by_name():
    flat = hand_fingerprint([np.zeros_like(s) for s in SIGNALS], "flat")
    with pytest.raises(RequestError, match="No network of flat gives a signal"):
        compare(base(), flat)


@pytest.mark.parametrize(("bits", "reads"), [(3.4, False), (3.05, False), (3.03, True)])
def test_a_model_that_cannot_read_the_probes(bits, reads):
    found = judged(base(), relative(0.3, bits_per_byte=bits))
    assert found.verdict.outcome == ("derived" if reads else "inconclusive")
    assert any("relative predicts the passages hardly better" in reason for reason in found.verdict.reasons) != reads


def test_a_model_of_which_it_is_not_known_whether_it_reads():
    b = relative(0.3, bits_per_byte=None)
    found = judged(base(), b)
    assert found.verdict.outcome == "inconclusive" and b.summary()["reads_probes"] is None
    assert any("How well relative predicts the passages could not" in reason for reason in found.verdict.reasons)


def test_networks_that_were_asked_for_and_not_found_are_missing():
    """Eight found of eleven asked for are too few, though all eight give a signal."""
    asked = {"protocol": base().protocol | {"components": 11}}
    a = hand_fingerprint([s[:8] for s in SIGNALS], "a")
    b = hand_fingerprint(mixed([s[:8] for s in SIGNALS], 0.2, 2), "b", seed=3)
    assert judged(a, b).verdict.outcome == "derived"
    fewer = judged(*(replace(side, recipe=side.recipe | asked) for side in (a, b)))
    assert fewer.verdict.outcome == "inconclusive"
    assert any("Only 8 of the 11 networks of a" in reason for reason in fewer.verdict.reasons)


def test_strangers_are_independent():
    found = judged(base(), stranger(), resamples=400)
    assert found.verdict.outcome == "independent" and found.interval[1] + 0.02 < found.verdict.cuts.independent_below
    assert found.summary()["resamples"] == 400


@pytest.mark.parametrize("count", [3, 4])
def test_fingerprints_cut_to_their_first_passages_compare_in_memory(count):
    cut = [
        replace(side, passages=side.passages[:count], signals=side.signals[:count], grids=side.grids[:count])
        for side in (base(), relative(0.3))
    ]
    assert judged(*cut).score > 0.7 and (judged(*cut).verdict.outcome == "derived") == (count >= 4)


def test_few_networks_and_few_passages():
    few = judged(hand_fingerprint(waves(3), "few"), hand_fingerprint(waves(3, seed=1), "few too"))
    assert few.verdict.outcome == "inconclusive" and "Only 3 of the 3 networks" in " ".join(few.verdict.reasons)
    one = judged(hand_fingerprint(SIGNALS[:1], "one"), hand_fingerprint(mixed(SIGNALS[:1], 0.1, 2), "one too"))
    assert one.interval is None and one.null_scores == () and one.verdict.outcome == "inconclusive"
    assert one.summary()["interval"] is None


@pytest.mark.parametrize(("options", "words"), [({"resamples": 199}, "199 resamples"), ({"seed": -1}, "seed -1")])
def test_options_out_of_range(options, words):
    with pytest.raises(RequestError, match=words):
        compare(base(), relative(), **options)


def test_no_model_code_is_needed():
    program = "import sys, fnet_core.lineage.comparison; print('torch' in sys.modules, 'transformers' in sys.modules)"
    root = REFERENCE_FILE.parent.parent
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.split() == ["False", "False"]


def test_the_test_is_made_of_what_both_files_hold():
    near = with_neurons(hand_fingerprint(mixed(SIGNALS, 0.5, 3), "relative", seed=5))
    a, far = with_neurons(base()), with_neurons(stranger(), seed=1)
    one, other = judged(a, near), judged(a, far)
    assert one.independence.p == one.independence.floor and one.independence.matched_J.tolist() == [0, 1, 2, 3]
    assert other.independence.p > 0.05 and (other.independence.matched_J == -1).all()
    assert one.summary()["independence"]["from_files"] and one.summary()["untested"] is None
    assert "independence test, p at most" in one.verdict.statement == one.summary()["statement"]
    turned = judged(near, a).independence
    np.testing.assert_array_equal(turned.z_LJ, one.independence.z_LJ.T)
    assert (turned.a, turned.b) == (one.independence.b, one.independence.a)


@pytest.mark.parametrize(
    ("a", "b", "options", "sentence"),
    [
        (
            base(),
            with_neurons(relative()),
            {},
            "fingerprint of base has no signatures of neurons, because it was taken",
        ),
        (with_neurons(base()), relative(), {}, "fingerprint of relative has no signatures"),
        (with_neurons(base()), with_neurons(relative()), {"test": False}, "it was not asked for"),
    ],
)
def test_what_was_not_tested_is_said(a, b, options, sentence):
    found = judged(a, b, **options)
    assert found.independence is None and sentence in found.untested and found.untested in found.verdict.decisive[-1]
    assert found.summary()["independence"] is None and found.summary()["untested"] == found.untested
    assert "independence test is missing" in found.verdict.decisive[-1]


def test_how_long_fingerprints_took_changes_no_number():
    """A content's digest holds the seconds, so it must not say which side's neurons are drawn first."""
    a, b = (with_neurons(side, seed) for seed, side in enumerate((base(), stranger())))
    taken = [replace(a, seconds={"capturing": float(seconds)}) for seconds in range(200)]
    ways = [
        next(each for each in taken if (each.content_digest() < b.content_digest()) is way) for way in (True, False)
    ]
    first, second = (judged(each, b) for each in ways)
    assert first.independence.nominal_p == second.independence.nominal_p and first.interval == second.interval
