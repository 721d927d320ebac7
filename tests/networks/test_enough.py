"""Enough text: the rule by hand, planted networks and noise, and an atlas that takes as much as it needs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.planted import sparse_maps, subjects_from

from fnet_core import texts
from fnet_core.decomposition.canica import canica
from fnet_core.errors import RequestError
from fnet_core.networks import enough, finding
from fnet_core.networks.enough import Look, Watch, looks_at, reason, sentence
from fnet_core.networks.finding import find_atlas, kept_atlas
from fnet_core.networks.request import AtlasRequest

NEURONS = 300


@pytest.mark.parametrize(
    ("passages", "looks"),
    [(4, (4,)), (24, (24,)), (30, (24, 30)), (96, (24, 48, 96)), (384, (24, 48, 96, 192, 384))],
)
def test_looks_come_at_twice_as_many_passages_and_at_the_end(passages, looks):
    assert looks_at(passages) == looks


@pytest.mark.parametrize(
    ("looks", "why"),
    [
        ([Look(24, 32, 16, 0.9, 0.7)], "agree"),
        ([Look(24, 32, 15, 0.95, 0.7)], ""),  # trusted networks agree, but they are few
        ([Look(24, 32, 16, 0.89, 0.7)], ""),
        ([Look(24, 32, 5, 0.85, 0.6), Look(48, 32, 5, 0.85, 0.61)], "level"),
        ([Look(24, 32, 5, 0.85, 0.6), Look(48, 32, 6, 0.85, 0.61)], ""),  # more are trusted
        ([Look(24, 32, 5, 0.85, 0.6), Look(48, 32, 5, 0.85, 0.63)], ""),  # all of them gain
        ([Look(24, 32, 5, 0.85, 0.6), Look(30, 32, 5, 0.85, 0.6)], ""),  # not twice the text
        ([Look(24, 32, 0, None, 0.1), Look(48, 32, 0, None, 0.1)], ""),  # nothing to trust
    ],
)
def test_the_rule_by_hand(looks, why):
    assert reason(looks) == why


def taken(subjects: list[torch.Tensor], components: int) -> tuple[int, Watch, torch.Tensor]:
    """How many of the subjects were read until there were enough, what was seen, and the maps."""
    read = 0

    def counted():
        nonlocal read
        for subject in subjects:
            read += 1
            yield subject

    watch = Watch(len(subjects), "model", (NEURONS,))
    (found,) = canica(counted(), [NEURONS], components, restarts=3, halves=True, looks=watch.at, enough=watch)
    assert len(found.time_courses) == read
    return read, watch, found.maps_KN


def test_strong_networks_need_the_first_look_alone_and_give_the_bits_of_so_many_subjects():
    subjects, _ = subjects_from(sparse_maps(3, NEURONS, 20, seed=1), [60] * 60, noise=1.0, seed=2)
    read, watch, maps_KN = taken(subjects, 3)
    assert read == 24 and watch.record()["reason"] == "agree"
    assert watch.looks[0].trusted == 3 and watch.looks[0].of_trusted > 0.95
    (alone,) = canica(subjects[:24], [NEURONS], 3, restarts=3)
    assert torch.equal(maps_KN, alone.maps_KN)


def test_noise_runs_to_the_end():
    rng = np.random.default_rng(3)
    subjects = [torch.from_numpy(rng.normal(size=(30, NEURONS))).float() for _ in range(60)]
    read, watch, _ = taken(subjects, 4)
    assert read == 60 and watch.record()["reason"] == "all"
    assert [(look.passages, look.trusted) for look in watch.looks] == [(24, 0), (48, 0), (60, 0)]


def test_a_look_at_too_few_directions_waits_for_more_text(monkeypatch):
    monkeypatch.setattr(enough, "FIRST_LOOK", 4)
    subjects, _ = subjects_from(sparse_maps(3, NEURONS, 20, seed=1), [3] * 16, noise=1.0, seed=2)
    read, watch, _ = taken(subjects, 12)
    assert read == 16 and [look.passages for look in watch.looks] == [16]


@pytest.fixture
def early(monkeypatch) -> list[int]:
    """Looks begin at four passages; the list holds how many passages each reading gave."""
    monkeypatch.setattr(enough, "FIRST_LOOK", 4)
    given: list[int] = []
    reading = finding.read_subjects

    def counted(*arguments, **options):
        given.append(0)
        for subject in reading(*arguments, **options):
            given[-1] += 1
            yield subject

    monkeypatch.setattr(finding, "read_subjects", counted)
    return given


def ask(passages: int, **changes) -> AtlasRequest:
    return AtlasRequest("tiny", texts.bundled("find")[:passages], components=3, restarts=3, **changes)


def test_an_atlas_that_took_enough_is_that_of_so_many_passages_and_was_read_once(early):
    found = find_atlas(ask(16, enough=True))
    atlas = found.answer
    count = len(atlas.passages)
    assert found.computed and count in (4, 8, 16) and early == [count]
    plain = find_atlas(ask(count))
    assert plain.path == found.path and not plain.computed  # one file: same networks, same key
    found.path.unlink()
    alone = find_atlas(ask(count)).answer
    for a, b in zip(alone.maps + alone.courses, atlas.maps + atlas.courses, strict=True):
        np.testing.assert_array_equal(a, b)
    assert alone.halves.summary() == atlas.halves.summary() and alone.labels == atlas.labels
    last = Look(*atlas.recipe["enough"]["looks"][-1])
    assert (last.passages, last.trusted) == (count, atlas.trusted_K.sum())
    assert f"{count} passages were taken" in sentence(atlas.recipe) and not sentence(alone.recipe)


def test_what_was_enough_is_answered_from_the_store_and_a_plain_atlas_is_not(early):
    request = ask(8, enough=True)
    assert kept_atlas(request) is None
    plain = find_atlas(ask(8))
    assert kept_atlas(request) is None
    first = find_atlas(request)
    again = find_atlas(request)
    assert first.computed and not again.computed and kept_atlas(request).path == again.path == first.path
    if len(first.answer.passages) == 8:
        assert first.path == plain.path
    older = first.answer.recipe["enough"] | {"rule": 0}
    replace(first.answer, recipe=first.answer.recipe | {"enough": older}).save(first.path)
    assert find_atlas(request).computed  # an older rule took it


def test_all_there_was_is_no_answer_where_there_is_more(early, monkeypatch):
    monkeypatch.setattr(enough, "AGREED", 2.0)
    monkeypatch.setattr(enough, "GAIN", -9.0)
    assert len(find_atlas(ask(4, enough=True)).answer.passages) == 4
    more = find_atlas(ask(8, enough=True))
    assert more.computed and more.answer.recipe["enough"]["reason"] == "all" and len(more.answer.passages) == 8


@pytest.mark.parametrize(
    ("looks", "why", "said"),
    [
        ([[24, 32, 20, 0.91, 0.8]], "agree", "20 of 32 networks are trusted, and their maps agree at abs(r) 0.91"),
        ([[24, 32, 5, 0.85, 0.61], [48, 32, 5, 0.85, 0.62]], "level", "levels off at abs(r) 0.62 (0.61 after 24)"),
        (
            [[24, 32, 5, 0.85, 0.61]],
            "all",
            "has not levelled off (5 of 32 networks are trusted; abs(r) 0.61); give more",
        ),
        ([[24, 32, 0, None, 0.1]], "all", "no network is trusted"),
        ([], "all", "too few for so many networks in both halves"),
    ],
)
def test_sentences(looks, why, said):
    assert said in sentence({"passages": 48, "enough": {"rule": 1, "looks": looks, "reason": why}})


def test_three_passages_cannot_be_taken_until_they_are_enough():
    with pytest.raises(RequestError, match="3 passages are too few to split"):
        ask(3, enough=True)
