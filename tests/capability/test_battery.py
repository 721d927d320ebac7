"""The battery: enough different items of everything, made anew from the same seed, of which a liking knows half."""

from collections import Counter

import pytest

from fnet_core.capability.battery import FOLDER, Grammar, draw, grammar, make_battery
from fnet_core.choices import CAPABILITY_NAMES
from fnet_core.errors import RequestError


def test_every_grammar_has_its_place():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(CAPABILITY_NAMES) and len(CAPABILITY_NAMES) >= 12


@pytest.mark.parametrize("seed", [0, 7])
def test_a_hundred_items_of_each_and_none_twice(seed):
    battery = make_battery(100, seed)
    counts = Counter(item.capability for item in battery.items)
    assert set(counts.values()) == {100} and set(counts) == set(CAPABILITY_NAMES)
    assert len(set(battery.items)) == len(battery.items)
    for item in battery.items:
        assert item.right != item.wrong and item.right and item.wrong
        slots = ["{" + name for name in grammar(item.capability).words]
        assert not any(slot in text for slot in slots for text in (item.prefix, item.right, item.wrong))


def test_the_same_seed_gives_the_same_items_and_fewer_are_the_first_of_more():
    again, other = make_battery(30), make_battery(30, 1)
    assert make_battery(30) == again and again.digest == make_battery(30).digest != other.digest
    assert set(again.items) != set(other.items)
    some = make_battery(10, only=["sums", "tense", "sums"])
    assert some.capabilities == ("sums", "tense")
    assert some.items[:10] == make_battery(30, only=["sums"]).items[:10]


@pytest.mark.parametrize("name", CAPABILITY_NAMES)
def test_who_likes_a_continuation_and_knows_nothing_is_right_in_half(name):
    for template in grammar(name).templates:
        rights, wrongs = Counter(way[1] for way in template), Counter(way[2] for way in template)
        prefixed = any(way[0] for way in template)
        sentences = [(sorted(right.split()), sorted(wrong.split())) for _, right, wrong in template]
        assert rights == wrongs if prefixed else all(right == wrong for right, wrong in sentences)


def test_the_sums_are_right():
    for item in make_battery(100, only=["sums"]).items:
        if "+" in item.prefix:
            a, _, b, _ = item.prefix.split(",")[-1].split()
            assert int(item.right) == int(a) + int(b) != int(item.wrong)


def test_slots_are_filled_from_their_lists_and_twins_share_them():
    source = Grammar("sums", "t", "a", {"w": (("a", "b"), ("c", "d"))}, ((("{w1.0} {w2.1}", "{w1.1}", "{w2.0}"),),))
    assert {(item.prefix, item.right, item.wrong) for item in draw(source, 2, 0)} == {
        ("a d", "b", "c"),
        ("c b", "d", "a"),
    }
    with pytest.raises(RequestError, match="only 2 different items of sums"):
        draw(source, 3, 0)


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"items": 0}, "0 items per capability are out of range"),
        ({"items": 501}, "choose 1 to 500"),
        ({"only": ["juggling"]}, "no capability 'juggling'"),
        ({"only": []}, "No capability was named"),
        ({"seed": -1}, "seed -1 is out of range"),
    ],
)
def test_wrong_requests(choices, sentence):
    with pytest.raises(RequestError, match=sentence):
        make_battery(**choices)
