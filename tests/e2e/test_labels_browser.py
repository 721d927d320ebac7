"""Labels by the keyboard alone, markup in them as text, and the report as a reader opens it."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.browser import command_line

pytestmark = [pytest.mark.browser, pytest.mark.starter]

MARKUP = "<img src=x onerror=alert(1)> **bold**"


def test_step_accept_search_and_report(server: str, page: Page, tmp_path: Path):
    atlas = Path(command_line("atlas", "tiny", "--components", "3", "--passages", "2")["artifact"]).stem
    command_line("labels", atlas, "--label", f"2={MARKUP}", "--note", "2=rare thing", "--undecided", "1")
    page.on("dialog", lambda dialog: pytest.fail(f"markup was run: {dialog.message}"))
    page.goto(f"{server}/networks?model=tiny&atlas={atlas}")
    expect(page.get_by_role("slider", name="Scan")).to_have_attribute("aria-valuenow", "0")
    page.keyboard.press("n")
    expect(page.get_by_text("Network 1", exact=True)).to_be_visible()
    page.keyboard.press("a")
    expect(page.locator(".st-key-accepted_label").get_by_test_id("stBaseButton-primary").first).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_text("Network 0", exact=True)).to_be_visible()
    expect(page.locator("[data-testid=stApp]")).to_have_attribute("data-test-script-state", "notRunning")
    page.keyboard.press("/")
    box = page.get_by_role("textbox", name="Search labels and notes")
    expect(box).to_be_focused()
    page.keyboard.type("rare n")
    expect(box).to_have_value("rare n")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Network 2", exact=True)).to_be_visible()
    expect(page.get_by_test_id("stHtml").get_by_text(MARKUP, exact=True)).to_be_visible()
    rows = command_line("labels", atlas)["networks"]
    assert [row["verdict"] for row in rows] == ["", "accepted", ""]

    page.get_by_role("button", name="Save", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Report (HTML)").click()
    file = tmp_path / "report.html"
    download.value.save_as(file)
    report = page.context.new_page()
    asked: list[str] = []
    report.on("request", lambda request: asked.append(request.url))
    for theme in ("light", "dark"):
        report.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        report.goto(file.as_uri())
        expect(report.get_by_role("cell", name=MARKUP).first).to_be_visible()
        expect(report.locator(".js-plotly-plot text").first).to_be_visible()
    assert set(asked) == {file.as_uri()}
