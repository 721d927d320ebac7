"""The scan of the atlas that comes with the project: keys, clicks, and what is told at a point."""

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

STEPS = 6


def test_keys_pressed_fast_light_their_network_at_once_and_the_page_follows(server: str, page: Page):
    page.goto(f"{server}/networks?atlas=example")
    scan = page.get_by_role("slider", name="Scan")
    expect(scan).to_have_attribute("aria-valuenow", "0")
    scan.focus()
    named = []
    for _ in range(STEPS):
        page.keyboard.press("ArrowRight")
        named.append(scan.evaluate("canvas => canvas.getRootNode().querySelector('.name').textContent"))
    assert named[-1] == scan.get_attribute("aria-valuetext") and len(set(named)) == STEPS
    last = re.match(r"Network (\d+): ", named[-1]).group(1)
    expect(page.get_by_text(f"Network {last}", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(rf"network={last}(&|$)"))
    expect(scan).to_have_attribute("aria-valuenow", last)
    for _ in range(STEPS):
        page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("Network 0", exact=True)).to_be_visible()


def test_the_curve_below_the_text_tells_its_tokens(server: str, page: Page):
    page.goto(f"{server}/networks?atlas=example")
    curve = page.get_by_role("img", name="Time course of network 0: activity at ")
    curve.hover(position={"x": 300, "y": 60})
    told = page.get_by_text(re.compile(r"^token \d+: “"))
    expect(told).to_be_visible()
    number = re.match(r"token (\d+)", told.inner_text()).group(1)
    value = page.locator(".course .told b").inner_text()
    span = page.locator(f".st-key-coloured_text span[title^='token {number}: ']")
    assert abs(float(span.get_attribute("title").split()[2]) - float(value.split()[0])) < 0.11
