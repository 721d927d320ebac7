"""How long a person waits in the browser: median and 95th percentile of each move, in milliseconds.

    python -m benchmarks.page_latency [MODEL] [--atlas KEY] [--times 25] [--no-prune] [--moves NAME ...]

The dashboard is started on a free port and driven in Chromium, on the model's atlas of the bundled passages (found
first if the store lacks it). A move's time runs from the key press or click in the browser until what it must change is
there and Streamlit has ended its run. Moves: the threshold by a step, the next network, an arrow key in the scan, a
tab, a sentence that was typed until it is painted (the model being loaded), a page, and a pruning ratio that was
measured before (`--no-prune` leaves it out: its two ratios are measured first, which takes minutes on an empty store).
An arrow key in the scan has two times: until the scan's picture has changed and it names the network, and until the
whole page has followed. So has a pruning ratio: until its perplexity and the change are there, and until the curves and
the networks that survive have followed.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from playwright.sync_api import Page, sync_playwright

from fnet_core import texts
from fnet_core.networks.finding import AtlasRequest, find_atlas

ROOT = Path(__file__).resolve().parents[1]
SECONDS_TO_START = 90
PERCENTS = 20, 21
PAGES = {"Networks": "networks", "Home": "", "Model": "model", "Intervene": "intervene", "Compare": "compare"}

_HEADING = "[data-testid=stHtml] div"

_WATCH = """
() => {
  window.fnetStart = null
  for (const kind of ['keydown', 'click'])
    window.addEventListener(kind, () => { window.fnetStart ??= performance.now() }, {capture: true})
  window.fnetWait = (selector, wanted, most) => new Promise((resolve, reject) => {
    const pattern = new RegExp(wanted)
    const look = () => {
      const app = document.querySelector('[data-testid=stApp]')
      const there = [...document.querySelectorAll(selector)].some(element => pattern.test(element.textContent))
      const now = performance.now()
      if (there && app?.getAttribute('data-test-script-state') === 'notRunning') resolve(now - window.fnetStart)
      else if (now - window.fnetStart > most) reject(new Error(`no ${wanted} in ${selector}`))
      else requestAnimationFrame(look)
    }
    look()
  })
}
"""


_LIT = """
async (canvas, most) => {
  const pen = canvas.getContext('2d')
  const name = canvas.getRootNode().querySelector('.name')
  const seen = () => pen.getImageData(0, 0, canvas.width, canvas.height).data
    .reduce((sum, value) => (31 * sum + value) | 0, 7)
  const before = { picture: seen(), name: name.textContent }
  window.fnetLit = new Promise((resolve, reject) => {
    const look = () => {
      const now = performance.now()
      if (window.fnetStart && name.textContent !== before.name && seen() !== before.picture)
        requestAnimationFrame(() => resolve(performance.now() - window.fnetStart))
      else if (window.fnetStart && now - window.fnetStart > most) reject(new Error('the scan did not change'))
      else requestAnimationFrame(look)
    }
    look()
  })
}
"""
"""Begins to watch the scan: `fnetLit` is the time of the frame after the one in which picture and name have changed."""


def timed_move(page: Page, act: Callable[[], object], selector: str, wanted: str) -> float:
    """Milliseconds from the input of `act` until an element says what is wanted and no script runs."""
    page.evaluate("() => { window.fnetStart = null }")
    act()
    return page.evaluate("([selector, wanted]) => window.fnetWait(selector, wanted, 60000)", [selector, wanted])


def settled(page: Page) -> None:
    """Wait until Streamlit has nothing to do for a moment."""
    page.wait_for_function(
        "() => document.querySelector('[data-testid=stApp]')?.getAttribute('data-test-script-state') === 'notRunning'",
        timeout=600_000,
    )
    page.wait_for_timeout(300)


def thresholds(page: Page, times: int) -> list[float]:
    """The threshold slider of the Networks page, a step up and a step down in turn."""
    slider = page.get_by_role("slider", name="Threshold |z|")
    said = page.locator("[data-testid=stMarkdown]").filter(has_text="|z| >").first.inner_text()
    at = float(said.rpartition(">")[2])
    found = []
    for step in range(times):
        slider.focus()
        up = step % 10 < 5
        at = round(at + (0.1 if up else -0.1), 1)
        key = "ArrowRight" if up else "ArrowLeft"
        pattern = rf"\|z\| > {at:.1f}".replace(".", r"\.", 1)
        found.append(timed_move(page, lambda key=key: page.keyboard.press(key), "[data-testid=stMarkdown]", pattern))
        page.wait_for_timeout(100)
    return found


def networks(page: Page, times: int) -> list[float]:
    """The next network, and back from the last."""
    found, at = [], 0
    for step in range(times):
        forward = step % 20 < 10
        at += 1 if forward else -1
        button = page.locator(f".st-key-{'next' if forward else 'previous'}_network button").first
        found.append(timed_move(page, button.click, _HEADING, rf"^Network {at}$"))
        page.wait_for_timeout(100)
    return found


def scan_picks(page: Page, times: int) -> dict[str, list[float]]:
    """The scan's arrow keys: until the scan has followed, and until the whole page has."""
    scan = page.get_by_role("slider", name="Scan")
    found: dict[str, list[float]] = {"network in the scan: lit and named": [], "network in the scan: whole page": []}
    lit, followed = found.values()
    for step in range(times):
        before = scan.get_attribute("aria-valuenow")
        scan.focus()
        scan.evaluate(_LIT, 60_000)
        key = "ArrowRight" if step % 20 < 10 else "ArrowLeft"
        followed.append(
            timed_move(page, lambda key=key: page.keyboard.press(key), _HEADING, rf"^Network (?!{before}$)\d+$")
        )
        lit.append(page.evaluate("() => window.fnetLit"))
        page.wait_for_timeout(100)
    return found


def tabs(page: Page, times: int) -> list[float]:
    """The tabs of the Networks page, one after the other."""
    wanted = {
        "By layer": ("[data-testid=stCaptionContainer]", "Where in the depth"),
        "Map": ("[data-testid=stCaptionContainer]", "Neurons in the order of their numbers"),
        "Key neurons": ("[data-testid=stCaptionContainer]", "strongest first"),
        "Connectivity": ("[data-testid=stCaptionContainer]", "Which networks rise and fall together"),
        "In text": ("[data-testid=stCaptionContainer]", "The same activity as a curve"),
    }
    found = []
    for step in range(times):
        name = list(wanted)[step % len(wanted)]
        found.append(timed_move(page, page.get_by_role("tab", name=name, exact=True).click, *wanted[name]))
        page.wait_for_timeout(100)
    return found


def sentences(page: Page, times: int) -> list[float]:
    """A sentence of one's own, from the press of Listen until the network's activity is painted into it."""
    page.get_by_role("tab", name="In text", exact=True).click()
    settled(page)
    page.get_by_text("Your own text", exact=True).first.click()
    settled(page)
    found = []
    for step in range(times):
        told = f"She locked the door behind her and counted {step + 2} boats in the harbour."
        page.locator(".st-key-own_text textarea").fill(told)
        button = page.locator(".st-key-listen button").first
        found.append(timed_move(page, button.click, ".st-key-coloured_text", rf"counted\s*{step + 2}\s*boats"))
        page.wait_for_timeout(200)
    return found


def pages(page: Page, times: int) -> list[float]:
    """The navigation, from page to page."""
    found = []
    names = list(PAGES)
    for step in range(times):
        name = names[(step + 1) % len(names)]
        link = page.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True)
        found.append(timed_move(page, link.click, "h1", name))
        page.wait_for_timeout(200)
    return found


def ratios(page: Page, times: int) -> dict[str, list[float]]:
    """Two pruning ratios that were measured before, in turn: until the perplexity is there, and the whole page."""
    slider = page.get_by_role("slider", name="Remove, of all MLP neurons")
    found: dict[str, list[float]] = {"ratio measured before: perplexity": [], "ratio measured before: whole page": []}
    for step in range(times):
        key = "ArrowRight" if step % 2 == 0 else "ArrowLeft"
        slider.focus()
        shown = page.locator(".st-key-prune_pruned").inner_text()
        began = page.locator(".st-key-prune_status").inner_text()
        page.evaluate("() => { window.fnetStart = null }")
        page.keyboard.press(key)
        times_told = page.evaluate(
            """async ([was, began]) => {
                  const changed = () => {
                    const now = document.querySelector('.st-key-prune_pruned')?.innerText
                    const status = document.querySelector('.st-key-prune_status')?.innerText
                    return now && now !== was && !now.includes('…') && status !== began
                  }
                  while (!changed()) await new Promise(requestAnimationFrame)
                  const told = performance.now() - window.fnetStart
                  return [told, await window.fnetWait('.st-key-prune_status', 'Perplexity changes by', 60000)]
                }""",
            [shown, began],
        )
        for kind, milliseconds in zip(found.values(), times_told, strict=True):
            kind.append(milliseconds)
        page.wait_for_timeout(100)
    return found


def prune_measured(page: Page, address: str, model: str) -> None:
    """Open the Prune page at both ratios until both are measured, without the curves in the background."""
    for percent in PERCENTS[::-1]:
        page.goto(f"{address}/prune?" + urlencode({"model": model, "prune": f"method:wanda-sp,percent:{percent}"}))
        settled(page)
        button = page.locator(".st-key-score_neurons button")
        if button.count():
            button.first.click()
        page.get_by_text("Perplexity changes by").first.wait_for(timeout=600_000)
    fill = page.get_by_text("Fill the curves in the background")
    if fill.count():
        fill.click()
    settled(page)


@contextmanager
def dashboard() -> Iterator[str]:
    """The dashboard on a free port; its address."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*command, "--server.port", str(port)], cwd=ROOT, stdout=log, stderr=log)
        address = f"http://localhost:{port}"
        try:
            until = time.monotonic() + SECONDS_TO_START
            while not healthy(address):
                if time.monotonic() > until or process.poll() is not None:
                    raise SystemExit("the dashboard did not start")
                time.sleep(0.3)
            yield address
        finally:
            process.terminate()
            process.wait(20)


def healthy(address: str) -> bool:
    """Whether the server answers."""
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
            return answer.read() == b"ok"
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--times", type=int, default=25)
    parser.add_argument("--no-prune", action="store_true")
    parser.add_argument("--atlas", help="the atlas under this key, such as `example`, instead of the model's own")
    parser.add_argument("--moves", nargs="+", help='these alone, such as "typed sentence"')
    options = parser.parse_args()
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    key = options.atlas or find_atlas(AtlasRequest(options.model, texts.for_networks())).path.stem
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    found: dict[str, list[float]] = {}
    with dashboard() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(120_000)
        page.add_init_script(f"({_WATCH})()")
        page.goto(f"{address}/networks?" + urlencode({"model": options.model, "atlas": key}))
        page.get_by_role("slider", name="Scan").wait_for()
        settled(page)
        for name, move in (
            ("threshold by a step", thresholds),
            ("next network", networks),
            ("network in the scan", scan_picks),
            ("tab", tabs),
            ("typed sentence", sentences),
            ("page", pages),
        ):
            if options.moves and name not in options.moves:
                continue
            move(page, 3)
            settled(page)
            if name == "next network" or name == "network in the scan":
                page.goto(f"{address}/networks?" + urlencode({"model": options.model, "atlas": key}))
                page.get_by_role("slider", name="Scan").wait_for()
                settled(page)
            if name == "page":
                page.goto(f"{address}/networks?" + urlencode({"model": options.model, "atlas": key}))
                settled(page)
            made = move(page, options.times)
            found |= made if isinstance(made, dict) else {name: made}
            settled(page)
        if not options.no_prune:
            prune_measured(page, address, options.model)
            ratios(page, 2)
            found |= ratios(page, options.times)
        browser.close()
    print(f"{options.model}, {options.times} times each, milliseconds in the browser\n")
    print("| move | median | 95th percentile | longest |\n|---|---|---|---|")
    for name, values in found.items():
        middle, high = np.quantile(values, (0.5, 0.95))
        print(f"| {name} | {middle:.0f} | {high:.0f} | {max(values):.0f} |")
    print(json.dumps({name: [round(value) for value in values] for name, values in found.items()}))


if __name__ == "__main__":
    main()
