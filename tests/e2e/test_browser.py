"""A person's first visit in a real browser: load, find, look, move the threshold; the numbers are the CLI's."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.browser import MINUTES, MODEL, command_line, press

from fnet_core import texts

pytestmark = [pytest.mark.browser, pytest.mark.starter]

NETWORKS, HIGHER = 6, 3.5


def atlas_of_command_line(text: Path, threshold: float) -> dict:
    """What `python -m fnet_core atlas` prints for the same request."""
    return command_line(
        *("atlas", MODEL, "--texts", str(text), "--components", str(NETWORKS), "--threshold", str(threshold))
    )


def counts_on_page(page: Page, threshold: float) -> list[int]:
    """The count of key neurons of every network, one after the other, as the page says it."""
    counts = []
    for network in range(NETWORKS):
        expect(page.get_by_text(f"Network {network}", exact=True)).to_be_visible()
        expect(page.get_by_text(f"Map of network {network}", exact=True)).to_be_visible()  # comes after the count
        sentence = page.get_by_text(re.compile(rf"neurons? (is|are) .* \|z\| > {threshold:.1f}$"))
        expect(sentence).to_be_visible()
        counts.append(int(re.match(r"([\d,]+) of", sentence.inner_text())[1].replace(",", "")))
        if network < NETWORKS - 1:
            press(page, "next_network")
    return counts


def cli_counts(answer: dict) -> list[int]:
    return [network["key_neurons"] for network in answer["networks"]]


def test_first_visit(server: str, page: Page, tmp_path: Path):
    text = tmp_path / "reduced.txt"
    text.write_text("\n\n".join(p.text for p in texts.bundled("find")[:2]), encoding="utf-8")

    page.goto(server)
    expect(page.get_by_role("heading", name="1. Load a model")).to_be_visible()
    page.get_by_role("link", name="Choose a model").click()
    page.get_by_role("button", name=f"Load {MODEL}").click()
    find = page.get_by_role("button", name="Find its networks")
    expect(find).to_be_visible(timeout=10 * MINUTES)
    expect(page.get_by_text("1,536")).to_be_visible()
    find.click()

    expect(page.get_by_text("No networks yet.")).to_be_visible()
    page.locator(".st-key-text_source").get_by_role("combobox").click()
    page.get_by_role("option", name="Text file").click()
    page.locator("input[type=file]").set_input_files(text)
    expect(page.get_by_text("reduced.txt")).to_be_visible()
    networks = page.locator(".st-key-components input")
    networks.fill(str(NETWORKS))
    networks.press("Enter")
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Find networks").click()

    page.wait_for_url(re.compile("[?&](job|atlas)="))
    address = page.url
    second = page.context.new_page()
    second.goto(address)
    expect(second.get_by_role("tab", name="By layer")).to_be_visible(timeout=10 * MINUTES)
    second.close()
    expect(page.get_by_role("tab", name="By layer")).to_be_visible(timeout=10 * MINUTES)
    expect(page.get_by_role("slider", name="Scan")).to_be_visible()
    page.get_by_role("tab", name="Map").click()
    expect(page.get_by_text("Map of network 0")).to_be_visible()

    on_page = counts_on_page(page, 3.0)
    assert on_page == cli_counts(atlas_of_command_line(text, 3.0))

    slider = page.get_by_role("slider", name="Threshold |z|")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    expect(page.get_by_text(f"|z| > {HIGHER}")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"threshold={HIGHER}"))
    link = page.url
    for _ in range(NETWORKS - 1):
        press(page, "previous_network")
        page.wait_for_timeout(300)
    higher = counts_on_page(page, HIGHER)
    assert higher == cli_counts(atlas_of_command_line(text, HIGHER))
    assert sum(higher) < sum(on_page)

    page.get_by_role("tab", name="In text").click()
    expect(page.locator(".st-key-coloured_text span[title]").first).to_be_visible()

    copied = page.context.new_page()
    copied.goto(link)
    expect(copied.get_by_text(f"Network {NETWORKS - 1}", exact=True)).to_be_visible()
    expect(copied.get_by_text(f"|z| > {HIGHER}")).to_be_visible()


def test_the_scan_tells_and_selects(server: str, page: Page, tmp_path: Path):
    text = tmp_path / "reduced.txt"
    text.write_text("\n\n".join(p.text for p in texts.bundled("find")[:2]), encoding="utf-8")
    page.goto(f"{server}/networks?atlas={Path(atlas_of_command_line(text, 3.0)['artifact']).stem}")
    scan = page.get_by_role("slider", name="Scan")
    expect(scan).to_have_attribute("aria-valuenow", "0")
    scan.hover(position={"x": 200, "y": 150})
    expect(page.get_by_text(re.compile(r"layer \d+ · neuron [\d,]+ · z = -?\d+\.\d"))).to_be_visible()
    scan.press("ArrowRight")
    expect(page).to_have_url(re.compile("network=[1-9]"))
    of_arrow = scan.get_attribute("aria-valuenow")
    expect(page.get_by_text(f"Network {of_arrow}", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name=f"Network {of_arrow} alone")).to_have_attribute("aria-pressed", "true")
    told = page.locator(".tip b").inner_text()
    scan.click(position={"x": 200, "y": 150})
    chosen = re.match(r"Network (\d+)", told).group(1)
    expect(scan).to_have_attribute("aria-valuenow", chosen)
    expect(page.get_by_text(f"Network {chosen}", exact=True)).to_be_visible()


PLACE = """([key, network, last]) => {
  const plot = document.querySelector(`.st-key-${key} .js-plotly-plot`)
  const index = trace => [...(trace.customdata ?? [])].findIndex(told => told[last] === network)
  const trace = plot._fullData.find(trace => index(trace) >= 0)
  const at = index(trace)
  const { xaxis, yaxis } = plot._fullLayout
  const box = plot.getBoundingClientRect()
  const place = (axis, value) => axis._offset + axis.l2p(axis.d2l(value))
  return [box.left + place(xaxis, trace.x[at]), box.top + place(yaxis, trace.y[at])]
}"""
"""Where the point of a network is on the screen, in the figure under a key."""


def click_point(page: Page, key: str, network: int, last: int = 0) -> None:
    figure = page.locator(f".st-key-{key} .js-plotly-plot")
    figure.scroll_into_view_if_needed()
    page.wait_for_timeout(1500)
    page.mouse.click(*page.evaluate(PLACE, [key, network, last]))


def test_a_click_on_a_figure_selects_its_network(server: str, page: Page):
    made = command_line("atlas", "tiny", "--components", "4", "--passages", "2", "--threshold", "2")
    address = f"{server}/networks?model=tiny&threshold=2.0&atlas={Path(made['artifact']).stem}"
    for view, key, last, network in (
        ("Connectivity", "connectivity_graph", 0, 2),
        ("Connectivity", "connectivity", 1, 3),
        ("By layer", "layer_flow", 0, 1),
        ("By layer", "layers_by_network", 0, 2),
        ("Map", "network_map", 0, 1),
        ("Neurons", "neuron_map", 0, 0),
    ):
        page.goto(f"{address}&view={view.replace(' ', '+')}&network={3 if network == 0 else 0}")
        click_point(page, key, network, last)
        expect(page).to_have_url(re.compile(f"network={network}") if network else re.compile(r"^(?!.*network=)"))
        expect(page.get_by_text(f"Network {network}", exact=True).first).to_be_visible()


def test_a_wrong_address_is_a_sentence_in_the_browser(server: str, page: Page):
    page.goto(f"{server}/networks?atlas=nowhere")
    expect(page.get_by_role("alert").get_by_text("There is no saved atlas 'nowhere'")).to_be_visible()
    expect(page.get_by_role("button", name="Find networks")).to_be_visible()


@pytest.mark.parametrize("path", ["", "networks?atlas=example", "model"])
def test_a_page_writes_no_error_to_the_console(server: str, page: Page, path: str):
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.goto(f"{server}/{path}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert told == []


def test_nothing_is_asked_of_another_host(server: str, page: Page):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for name in ("", "model", "networks"):
        page.goto(f"{server}/{name}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    own = (server, server.replace("http", "ws"), "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []
