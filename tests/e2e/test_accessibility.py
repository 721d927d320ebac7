"""Every page in both themes: nothing serious found by axe, headings in order, the keyboard, the primary button."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.browser import command_line

from benchmarks.colours import Colour, contrast

pytestmark = [pytest.mark.browser, pytest.mark.starter]

THEMES = ("light", "dark")
STEPS = 60
"""Presses of the Tab key within which the main button of every page is reached."""
AXE = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .filter(found => ["serious", "critical"].includes(found.impact) || found.id === "heading-order")
    .map(found => [found.id, found.nodes.map(node => node.html.slice(0, 120))])"""
FOCUS = """() => {
    let at = document.activeElement
    while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
    const words = at.cloneNode(true)
    const signs = words.querySelectorAll("[data-testid^=stIcon], [data-testid^=stExpanderIcon], [role=img], kbd")
    signs.forEach(sign => sign.remove())
    const named = at.labels?.[0]?.innerText || at.getAttribute("aria-label") || words.textContent || at.title
    return [at.tagName, named || at.getAttribute("aria-labelledby") || "", at.getAttribute("aria-label") || ""]
}"""
COLOURS = """button => [getComputedStyle(button).backgroundColor, getComputedStyle(button).color]
    .map(colour => colour.match(/\\d+/g).slice(0, 3).map(Number))"""


@pytest.fixture(scope="module")
def atlas() -> str:
    """The key of an atlas of the tiny starter."""
    return Path(command_line("atlas", "tiny", "--components", "3", "--passages", "2")["artifact"]).stem


def axe() -> str:
    package = find_spec("axe_playwright_python")
    assert package is not None and package.origin is not None
    return (Path(package.origin).parent / "axe.min.js").read_text("utf-8")


def colours(page: Page) -> tuple[Colour, Colour]:
    """Background and text of the primary button."""
    background, text = page.get_by_test_id("stBaseButton-primary").first.evaluate(COLOURS)
    return tuple(background), tuple(text)


def test_every_page_in_both_themes(server: str, page: Page, atlas: str):
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    script = axe()
    for address, (drawn, by_keyboard) in {
        "": ("heading[name='What to do here']", "Open these networks"),
        "model?model=tiny": ("heading[name='Your own model']", "Find its networks"),
        f"networks?model=tiny&atlas={atlas}&view=Map": ("tab[name='Recipe']", "Find other networks"),
        f"intervene?model=tiny&atlas={atlas}": ("tab[name='Save and export']", "Amplify all by 1.05"),
        "prune?model=tiny&prune=first:0,last:0": ("button[name='Score the neurons']", "Score the neurons"),
        "compare?a=tiny&b=tiny": ("button[name='Compare']", "Compare"),
        "audit": ("heading[name='Audit']", "Library"),
        "library": ("heading[name='Library']", "Networks"),
    }.items():
        page.emulate_media(color_scheme="light")
        page.goto(f"{server}/{address}")
        role, name = drawn.removesuffix("']").split("[name='")
        expect(page.get_by_role(role, name=name, exact=True)).to_be_visible()  # type: ignore[arg-type]
        page.evaluate(script)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            page.wait_for_timeout(400)
            assert page.evaluate(AXE) == [], (address, theme)
        if address.startswith("networks"):
            expect(page.get_by_role("figure", name="Map of network 0")).to_be_visible()
            for step in ("Previous network", "Next network"):
                expect(page.get_by_role("button", name=step, exact=True)).to_be_visible()
        assert {"Networks", by_keyboard} <= set(walk(page, STEPS)), address
        if not address:
            background, text = colours(page)
            page.get_by_test_id("stBaseButton-primary").first.hover()
            page.wait_for_timeout(400)
            hovered, _ = colours(page)
            assert hovered != background and contrast(background, text) > 4.5 and contrast(hovered, text) > 4.5
            assert contrast(hovered, (0, 0, 0)) > 3  # not nearly black
    assert complaints == []


def walk(page: Page, steps: int) -> list[str]:
    """The names of what the Tab key reaches from the top, one after the other; each has one, and none is a trap."""
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(steps):
        page.keyboard.press("Tab")
        tag, name, label = page.evaluate(FOCUS)
        assert name.strip() or tag in ("BODY", "MAIN", "SECTION", "DIV"), (tag, reached)
        reached.append(label or name.strip())
    assert len(set(reached)) > 12, reached
    return reached
