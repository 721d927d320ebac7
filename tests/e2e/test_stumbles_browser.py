"""What people stumbled over: a kept answer that waits for a turn, a job without a way out, a toolbar over a button."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import command_line, fill

pytestmark = [pytest.mark.browser, pytest.mark.starter]


def test_what_is_kept_needs_no_turn_and_a_job_can_be_cancelled_from_every_page(
    server: str, page: Page, chromium: Browser
):
    kept = Path(command_line("atlas", "tiny", "--components", "3")["artifact"]).stem
    another = chromium.new_context(viewport={"width": 1440, "height": 900})
    beside = another.new_page()
    beside.set_default_timeout(60_000)
    beside.goto(f"{server}/networks?model=tiny")
    fill(beside, "components", 3)

    page.goto(f"{server}/networks?model=tiny")
    fill(page, "components", 100)
    page.get_by_role("button", name="More").click()
    fill(page, "restarts", 100)
    page.get_by_role("heading", name="Networks", level=1).click()
    expect(page.locator(".st-key-restarts")).to_have_count(0)
    page.get_by_role("button", name="Find networks").click()
    page.wait_for_url(re.compile("[?&]job="))
    sidebar = page.get_by_test_id("stSidebar")
    sidebar.get_by_role("link", name="Home", exact=True).click()
    expect(sidebar.get_by_text("Finding networks of tiny")).to_be_visible()
    expect(sidebar.get_by_role("link", name="Open")).to_be_visible()

    beside.get_by_role("button", name="Find networks").click()
    beside.wait_for_url(re.compile(f"atlas={kept}"))
    expect(beside.get_by_role("slider", name="Scan")).to_be_visible()
    another.close()

    sidebar.get_by_role("button", name="Cancel").click()
    expect(sidebar.get_by_role("button", name="Cancel")).to_have_count(0)


def test_the_tables_toolbar_leaves_the_next_network_to_be_clicked(server: str, page: Page):
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{server}/networks?atlas=example")
    table = page.locator(".st-key-network_table")
    table.hover(position={"x": 200, "y": 60})
    expect(table.get_by_test_id("stElementToolbar")).to_be_visible()
    page.locator(".st-key-next_network").get_by_role("button").click()
    expect(page.get_by_text("Network 1", exact=True)).to_be_visible()
