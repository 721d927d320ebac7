"""Seconds until the Networks page has painted its scan, and megabytes that it takes, as models grow.

    python -m benchmarks.scan_paint [--times 1 10 100] [--rounds 3]

Synthetic atlases with so many times the neurons of smollm2-135m (46,080) and 32 networks are put in a cache folder of
their own, and each is opened in Chromium: fresh is the first visit of a server that has shown nothing yet; at a server
that has shown its home page and no atlas, cold is the first visit (the file is read, checked and ordered), warm is the
median of the next ones, each in a browser window of its own.
Seconds run from the start of the navigation until the canvas has coloured pixels; megabytes are what comes through the
page's socket until then, and what pointing at a neuron fetches besides.
"""

import argparse
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from playwright.sync_api import Browser, Response, sync_playwright

from benchmarks.page_latency import dashboard
from fnet_core.networks.atlas import KIND, Atlas
from fnet_core.storage import artifacts
from fnet_core.texts import Passage

NETWORKS, PASSAGES, TOKENS = 32, 24, 200
SHAPES = {1: (30, 1_536), 10: (60, 7_680), 100: (120, 38_400)}
"""Layers and neurons of each, by times the starter's neurons."""
_PAINTED = """canvas => new Promise(resolve => {
  const look = () => {
    const data = canvas.width && canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    if (data && data.some((value, at) => at % 4 === 3 && value > 0)) resolve(performance.now())
    else requestAnimationFrame(look)
  }
  look()
})"""


def synthetic(layers: int, width: int, seed: int = 0) -> Atlas:
    """An atlas of Gaussian maps in which one neuron in twelve belongs to a network that grows and fades with depth."""
    rng = np.random.default_rng(seed)
    maps = rng.standard_normal((NETWORKS, layers * width), dtype=np.float32)
    for layer in range(layers):
        near = np.exp(-(((np.arange(NETWORKS) / NETWORKS - layer / layers) / 0.3) ** 2))
        count = width // 12
        owner = rng.choice(NETWORKS, count, p=near / near.sum())
        neuron = layer * width + rng.choice(width, count, replace=False)
        maps[owner, neuron] = rng.uniform(3.2, 9.0, count) * rng.choice([1, -1], count, p=[0.8, 0.2])
    text = "word " * TOKENS
    offsets = np.stack([5 * np.arange(TOKENS), 5 * np.arange(TOKENS) + 4], axis=1)
    return Atlas(
        recipe={"model": f"synthetic {layers} x {width}", "site": "mlp", "scope": "model", "components": NETWORKS},
        passages=tuple(Passage(f"passage {i}", text, "synthetic") for i in range(PASSAGES)),
        widths_L=(width,) * layers,
        maps=(maps,),
        courses=tuple(rng.standard_normal((TOKENS, NETWORKS), dtype=np.float32) for _ in range(PASSAGES)),
        offsets=(offsets,) * PASSAGES,
        variance_K=np.full(NETWORKS, 0.01, dtype=np.float32),
        recurrence_SK=np.full((PASSAGES, NETWORKS), 0.01, dtype=np.float32),
        stability_K=np.ones(NETWORKS, dtype=np.float32),
        labels=tuple(f"word {k}" for k in range(NETWORKS)),
        converged=1.0,
    )


@contextmanager
def visit(browser: Browser, address: str) -> Iterator[tuple[float, float, float, str]]:
    """One window's seconds to the painted scan, megabytes until then and for pointing, and what is told there."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(180_000)
    received = {"socket": 0, "layer": 0}

    def frame(data: bytes | str) -> None:
        received["socket"] += len(data)

    page.on("websocket", lambda socket: socket.on("framereceived", frame))

    def answered(answer: Response) -> None:
        if "/media/" in answer.url and "/static/" not in answer.url:
            received["layer"] += int(answer.headers.get("content-length", 0))

    page.on("response", answered)
    page.goto(address, wait_until="commit")
    scan = page.get_by_role("slider", name="Scan")
    scan.wait_for()
    seconds = scan.evaluate(_PAINTED) / 1000
    painted = received["socket"] / 1e6
    scan.hover(position={"x": 200, "y": 150})
    told = ""
    for step in range(60):
        scan.hover(position={"x": 200 + step % 5, "y": 150})
        told = page.locator(".tip span").inner_text()
        if "neuron" in told:
            break
        page.wait_for_timeout(500)
    yield seconds, painted, received["layer"] / 1e6, told
    context.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, nargs="+", default=list(SHAPES), choices=SHAPES)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found = shutil.which("chromium") or shutil.which("google-chrome")
    print(
        "| times | neurons | file, MB | fresh, s | cold, s | warm, s | page, MB | pointing, MB | told |\n"
        + "|---" * 9
        + "|"
    )
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        os.environ["FNET_HOME"] = home
        os.environ.setdefault("GOMP_SPINCOUNT", "0")
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        for times in options.times:
            layers, width = SHAPES[times]
            atlas = synthetic(layers, width)
            path = artifacts.artifact_path(KIND, atlas.key)
            atlas.save(path)
            del atlas
            size = path.stat().st_size
            with dashboard() as server, visit(browser, f"{server}/networks?atlas={path.stem}") as measured:
                fresh = measured[0]
            with dashboard() as server:
                page = browser.new_page()
                page.goto(server)
                page.get_by_role("heading", name="What to do here").wait_for(timeout=180_000)
                page.close()
                address = f"{server}/networks?" + urlencode({"atlas": path.stem})
                visits = []
                for _ in range(1 + options.rounds):
                    with visit(browser, address) as measured:
                        visits.append(measured)
            cold, warm = visits[0][0], statistics.median(seconds for seconds, *_ in visits[1:])
            _, painted, layer, told = visits[-1]
            print(
                f"| {times} | {layers * width:,} | {size / 1e6:,.1f} | {fresh:.2f} | {cold:.2f} | {warm:.2f} | "
                f"{painted:.2f} | {layer:.1f} | {told} |",
                flush=True,
            )
            Path(path).unlink()
        browser.close()


if __name__ == "__main__":
    main()
