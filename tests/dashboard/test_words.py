"""Numbers as people read them."""

from pathlib import Path

import pytest

from dashboard import words

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(4.128, "4.13"), (41.34, "41.3"), (31547.8, "31,548"), (float("inf"), "not finite"), (2e12, "2.0e+12")],
)
def test_perplexities_have_the_digits_that_mean_something(value, shown):
    assert words.perplexity(value) == shown


@pytest.mark.parametrize(("ratio", "shown"), [(1.02, "+2.0 %"), (0.97, "-3.0 %"), (2.5, "2.50x"), (763.5, "764x")])
def test_ratios_are_per_cent_near_one_and_factors_far_from_it(ratio, shown):
    assert words.factor(ratio) == shown


@pytest.mark.parametrize(
    ("bounds", "beside", "shown"),
    [
        ((1.18, 1.55), 1.355, "+18.0 % to +55.0 %"),
        ((1.18, 3.0), 1.6, "1.18x to 3.00x"),
        ((0.99, 1.02), 27.6, "0.99x to 1.02x"),
        ((1.0002, 1.0004), 1.0003, "+0.02 % to +0.04 %"),
        (None, 1.0, "no interval"),
    ],
)
def test_an_interval_has_the_notation_of_the_number_that_it_belongs_to(bounds, beside, shown):
    assert words.factors(bounds, beside) == shown


@pytest.mark.parametrize(
    ("bounds", "shown"),
    [((0.7312, 0.7349), "0.731 to 0.735"), ((0.7342, 0.7343), "0.7342 to 0.7343"), ((41.3, 41.3), "41.3")],
)
def test_the_ends_of_an_interval_have_the_digits_that_tell_them_apart(bounds, shown):
    assert words.between(bounds) == shown


def test_scopes_in_words():
    assert [words.scope(name) for name in ("model", "layer", "window:3")] == [
        "whole model",
        "layer by layer",
        "windows of 3 layers",
    ]


def test_sentences_do_not_tell_where_this_machine_keeps_its_files(monkeypatch, tmp_path):
    monkeypatch.setenv("FNET_HOME", str(tmp_path / "kept"))
    monkeypatch.setenv("HOME", str(tmp_path))
    told = words.without_places(f"{tmp_path}/kept/models/a is damaged; {tmp_path}/b, {tmp_path}/kept-not, {ROOT}/c.")
    assert told == "FNET_HOME/models/a is damaged; ~/b, ~/kept-not, the code's folder/c."
    assert words.without_places(f"in {tmp_path}") == "in ~"
    monkeypatch.setenv("HOME", "/")
    assert words.without_places("/etc/x is no model") == "/etc/x is no model"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("text.txt", "text.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\texts\\mine.txt", "mine.txt"),
        ("a\0b\x1b[2J\n.txt", "a\\x00b\\x1b[2J\\n.txt"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("x" * 500, "x" * 200),
        ("", ""),
    ],
)
def test_names_of_uploads_as_they_may_be_shown(name, shown):
    assert words.file_name(name) == shown
