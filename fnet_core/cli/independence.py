"""`independence`: were two models trained apart, with a p-value, layer by layer?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core.choices import ORDERS, SAMPLED_NEURONS, TEST_PASSAGES
from fnet_core.cli.arguments import add_sides, add_texts, check_model, passages_of
from fnet_core.errors import RequestError
from fnet_core.progress import Report, part_of

if TYPE_CHECKING:
    from fnet_core.lineage.fingerprint import Fingerprint
    from fnet_core.lineage.independence import Independence
    from fnet_core.texts import Passage

NAME = "independence"
HELP = "test whether two models were trained apart: a p-value, and which layers match"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two models, the text, and how many neurons are matched."""
    add_sides(parser, "starter, hub repository, folder, .gguf file, or fingerprint file (.safetensors)")
    add_texts(parser, "score")
    parser.add_argument(
        "--neurons", type=int, default=SAMPLED_NEURONS, metavar="N", help="neurons per layer (default %(default)s)"
    )


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of the stages, for the time left: both models are loaded, then read and matched."""
    return {"loading": 1.0, "capturing": 4.0, "matching": 20.0}


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    """Test every layer of the one model against every layer of the other, from models or from their fingerprints."""
    from fnet_core.lineage.calibration import check_test

    check_test(options.neurons, options.seed)
    files = [_file(name) for name in (options.a, options.b)]
    for name, file in zip((options.a, options.b), files, strict=True):
        if file is None:
            check_model(name, options)
    given = options.texts is not None or options.dataset is not None or options.passages is not None
    if any(files) and given:
        raise RequestError("A fingerprint file brings its own passages; leave out the texts.")
    if files[0] and files[1]:
        from fnet_core.lineage.comparable import check_readable
        from fnet_core.lineage.independence import independence_of

        check_readable([file for file in files if file], alone=False)
        pair = (file.recorded() for file in files if file)
        found = independence_of(*pair, neurons=options.neurons, seed=options.seed, report=report)
    else:
        passages = passages_of(options, "score")
        found = _of_models(options, files, passages if given else passages[:TEST_PASSAGES], report)
    lines = [found.sentence, *found.layers_in_words]
    lines.append(
        f"Largest z {found.z_LJ.max():.1f}; {found.neurons} neurons per layer, {found.points:,} places of text."
    )
    if cut := found.recipe.get("cut"):
        lines.append(cut)
    if found.order_p is not None:
        lines.append(
            f"Neurons of the same number: p {found.order_p:.4f}, exact, from {ORDERS:,} random orders; a small one "
            "says that both began from the same weights, a large one nothing."
        )
    lines.append(found.calibration.sentence)
    return found.summary(), lines


def _file(name: str) -> Fingerprint | None:
    """The fingerprint that a side names; None for a model."""
    if not name.endswith(".safetensors"):
        return None
    from fnet_core.lineage.fingerprint import Fingerprint

    return Fingerprint.load(Path(name))


def _of_models(
    options: argparse.Namespace, files: list[Fingerprint | None], passages: Sequence[Passage], report: Report
) -> Independence:
    """Load what is no file, and test."""
    from fnet_core.lineage.trained_apart import independence_of_any
    from fnet_core.models.loading import get_loaded

    a, b = (
        file or get_loaded(name, accept_licence=options.accept_licence, report=part_of(report, number, 2))
        for number, (name, file) in enumerate(zip((options.a, options.b), files, strict=True))
    )
    return independence_of_any(a, b, passages, neurons=options.neurons, seed=options.seed, report=report)
