"""`independence`: were two models trained apart, with a p-value, layer by layer?"""

import argparse
from typing import Any

from fnet_core.choices import SAMPLED_NEURONS, TEST_PASSAGES
from fnet_core.cli.arguments import add_sides, add_texts, check_model, passages_of
from fnet_core.progress import Report, part_of

NAME = "independence"
HELP = "test whether two models were trained apart: a p-value, and which layers match"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two models, the text, and how many neurons are matched."""
    add_sides(parser, "starter, hub repository, folder or .gguf file")
    add_texts(parser, "score")
    parser.add_argument(
        "--neurons", type=int, default=SAMPLED_NEURONS, metavar="N", help="neurons per layer (default %(default)s)"
    )


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of the stages, for the time left: both models are loaded, then read and matched."""
    return {"loading": 1.0, "capturing": 4.0, "matching": 20.0}


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    """Load both models and test every layer of the one against every layer of the other."""
    from fnet_core.lineage.request import check_test

    check_test(options.neurons, options.seed)
    for name in (options.a, options.b):
        check_model(name, options)
    passages = passages_of(options, "score")
    if options.texts is None and options.dataset is None and options.passages is None:
        passages = passages[:TEST_PASSAGES]
    from fnet_core.lineage.independence import independence
    from fnet_core.models.loading import get_loaded

    a, b = (
        get_loaded(name, accept_licence=options.accept_licence, report=part_of(report, number, 2))
        for number, name in enumerate((options.a, options.b))
    )
    found = independence(a, b, passages, neurons=options.neurons, seed=options.seed, report=report)
    lines = [found.sentence, *found.layers_in_words]
    lines.append(
        f"Largest z {found.z_LJ.max():.1f}; {found.neurons} neurons per layer, {found.points:,} places of text."
    )
    if cut := found.recipe.get("cut"):
        lines.append(cut)
    return found.summary(), lines
