"""A person moves the slider of the Prune page in a real browser; the perplexity is the command line's."""

import re

import pytest
from playwright.sync_api import Page, expect
from support.browser import MINUTES, MODEL, command_line, metric

from dashboard import words
from dashboard.prune import state

pytestmark = [pytest.mark.browser, pytest.mark.starter]

METHOD, PERCENT = "wanda-sp", 20
FINAL = re.compile(r"^Perplexity changes by")


def test_the_slider_gives_the_perplexity_of_the_command_line(server: str, page: Page):
    first = command_line(
        *("prune", MODEL, "--method", METHOD, "--ratio", str(PERCENT / 100)),
        *("--passages", str(state.FIRST_PASSAGES)),
    )
    page.goto(f"{server}/prune?model={MODEL}&prune=method:{METHOD},percent:{PERCENT}")
    expect(page.get_by_text(FINAL)).to_be_visible(timeout=5 * MINUTES)
    expect(page.get_by_text("Layers cut")).to_be_visible()  # comes after the figures
    assert metric(page, "Untouched") == words.perplexity(first["baseline"]["value"])
    assert metric(page, "Pruned") == words.perplexity(first["perplexity"]["value"])
    assert metric(page, "MLP neurons") == f"{first['neurons']['after']:,}"

    page.get_by_text("Fill the curves in the background").click()
    slider = page.get_by_role("slider", name="Remove, of all MLP neurons")
    slider.focus()
    slider.press("ArrowRight")
    expect(page).to_have_url(re.compile(rf"percent(:|%3A){PERCENT + 1}"))
    expect(page.get_by_text(FINAL)).to_be_visible(timeout=5 * MINUTES)
    second = command_line(
        *("prune", MODEL, "--method", METHOD, "--ratio", str((PERCENT + 1) / 100)),
        *("--passages", str(state.FIRST_PASSAGES)),
    )
    expect(
        page.get_by_test_id("stMetric")
        .filter(has_text=re.compile("^Pruned"))
        .get_by_text(words.perplexity(second["perplexity"]["value"]), exact=True)
    ).to_be_visible(timeout=5 * MINUTES)

    copied = page.context.new_page()
    copied.goto(page.url)
    expect(copied.get_by_text(FINAL)).to_be_visible()
    expect(copied.get_by_text("Layers cut")).to_be_visible()
    assert metric(copied, "Pruned") == metric(page, "Pruned")

    page.get_by_role("tab", name="Keep and drop").click()
    expect(page.get_by_text("MLP neurons that stay", exact=True)).to_be_visible()
