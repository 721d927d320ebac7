"""The table of `docs/models.md` has every family, and says what is told of each before it is loaded."""

import pytest
from support.tiny_models import tiny_model
from support.unlisted import BY_STRUCTURE

from benchmarks.model_table import OUT, row, table, tried
from fnet_core.abilities import AT_SITES, TO_WHOLE, Ability, abilities
from fnet_core.choices import SITES
from fnet_core.models.families import FAMILIES


def rows() -> dict[str, str]:
    lines = OUT.read_text("utf-8").splitlines()
    return {line.split("`")[1]: line for line in lines if line.startswith("| `")}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_table_says_of_every_family_what_its_configuration_tells(family):
    told = abilities(tiny_model(family).config, family)
    assert len(told) == len(AT_SITES) * len(SITES) + len(TO_WHOLE)
    assert rows()[family] == row(family, told)


def test_the_table_has_no_family_that_is_not_there():
    assert set(rows()) == set(FAMILIES)


@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_the_committed_row_is_what_comes_out_when_all_is_run(family):
    found = tried(family)
    assert rows()[family] == row(family, found)


def test_the_page_names_what_is_read_by_structure():
    said = OUT.read_text("utf-8").split("## By structure")[1]
    assert all(f"`{name}`" in said for name in BY_STRUCTURE)


def test_a_refusal_stands_below_the_table_with_its_families():
    sites = [Ability(operation, site, True) for operation in AT_SITES for site in SITES]
    whole = [Ability(operation, None, operation == "neurons", "A x model has none.") for operation in TO_WHOLE]
    every = [Ability(operation, None, True) for operation in TO_WHOLE]
    lines = table({"x": (*sites, *whole), "y": (*sites, *every)}).splitlines()
    ends = {line.split("`")[1]: line.split(" | ")[-2:] for line in lines if line.startswith("| `")}
    assert ends == {"x": ["code", "– |"], "y": ["plain", "plain |"]}
    assert "- heads, `x`: The model has none." in lines
