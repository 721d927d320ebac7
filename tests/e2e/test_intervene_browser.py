"""A person inhibits a network in a real browser; the perplexity on the page is the command line's."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.browser import MINUTES, MODEL, command_line, fill, metric, press

from dashboard import words

pytestmark = [pytest.mark.browser, pytest.mark.starter]

PASSAGES, CONTROLS, NETWORK = 2, 1, 1


def test_inhibiting_a_network_gives_the_perplexity_of_the_command_line(server: str, page: Page):
    made = command_line("atlas", MODEL, "--passages", "4", "--components", "8")
    atlas = Path(made["artifact"])
    page.goto(f"{server}/intervene?model={MODEL}&atlas={atlas.stem}&network={NETWORK}")
    expect(page.get_by_text("Press 'Run'")).to_be_visible()
    expect(page.get_by_text(re.compile(r"of 46,080 neurons"))).to_be_visible()

    page.get_by_role("button", name="More").click()
    fill(page, "intervene_controls", CONTROLS)
    slider = page.get_by_role("slider", name="Passages to measure on")
    slider.focus()
    for _ in range(8 - PASSAGES):
        slider.press("ArrowLeft")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Measured on 2 passages, beside 1 random control.")).to_be_visible()
    press(page, "run_edits")
    expect(page.get_by_text(re.compile(r"^Editing [\d,]+ neurons"))).to_be_visible(timeout=10 * MINUTES)

    answer = command_line(
        *("edit", MODEL, "--atlas", str(atlas), "--gain", f"{NETWORK}=0"),
        *("--controls", str(CONTROLS), "--passages", str(PASSAGES)),
    )
    assert metric(page, "Untouched") == words.perplexity(answer["baseline"]["value"])
    assert metric(page, "Edited") == words.perplexity(answer["edited"]["value"])
    assert metric(page, "Random control") == words.perplexity(answer["control_median"])
    assert answer["edited"]["value"] > answer["baseline"]["value"]

    copied = page.context.new_page()
    copied.goto(page.url)
    expect(copied.get_by_text(re.compile(r"^Editing [\d,]+ neurons"))).to_be_visible()
    assert metric(copied, "Edited") == metric(page, "Edited")

    page.get_by_role("tab", name="Text", exact=True).click()
    expect(page.locator(".st-key-worsened_text span[title]").first).to_be_visible()
