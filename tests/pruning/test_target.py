"""Targets as people write them."""

import pytest

from fnet_core.errors import RequestError
from fnet_core.pruning.target import EXAMPLES, read_target


@pytest.mark.parametrize(
    ("written", "quantity", "value"),
    [
        ("450MB", "bytes", 450e6),
        ("1.5 GB", "bytes", 1.5e9),
        ("100Mparams", "parameters", 100e6),
        (" .5b parameters", "parameters", 5e8),
        ("12000 params", "parameters", 12_000),
        ("600tok/s", "reading", 600),
        ("600 tokens/s", "reading", 600),
        ("25written/s", "writing", 25),
        ("ppl<=40", "perplexity", 40),
        ("perplexity < 40.5", "perplexity", 40.5),
    ],
)
def test_a_number_with_its_unit(written, quantity, value):
    target = read_target(written)
    assert (target.quantity, target.written) == (quantity, written.strip())
    assert target.value == pytest.approx(value, rel=1e-12)


def test_every_example_is_one():
    assert len({read_target(example).quantity for example in EXAMPLES}) == len(EXAMPLES)


@pytest.mark.parametrize("written", ["", "450", "MB", "0MB", "-3MB", "nanMB", "ppl>=40", "ppl=40", "40ppl", "1e3MB"])
def test_what_is_none_is_a_sentence_with_every_form(written):
    with pytest.raises(RequestError, match=r"is no target; give a size on disk \(450MB\).*ppl<=40"):
        read_target(written)


def test_a_speed_is_met_from_above_and_the_others_from_below():
    speed, size = read_target("100tok/s"), read_target("100MB")
    assert speed.met(100) and not speed.met(99.9) and size.met(100e6) and not size.met(100.1e6)
    assert speed.near(101) and not speed.near(101.1) and not speed.near(99.9)
    assert size.near(99e6) and not size.near(98.9e6) and not size.near(100.1e6)
