"""`derive`: make a model that comes from another, to test the comparison with."""

import argparse
from typing import Any

from fnet_core.choices import ways
from fnet_core.cli.arguments import add_model, check_model
from fnet_core.derivation.training import DEFAULT_WINDOW, LEARNING_RATES, Training
from fnet_core.errors import RequestError
from fnet_core.progress import Report

NAME = "derive"
HELP = "make a derived model to test with: noise, permutation, quantisation, fine-tuning and others"

_DEFAULTS = Training()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the way, the folder, and how to train."""
    add_model(parser)
    parser.add_argument("--how", required=True, metavar="WAY", help="; ".join(ways()))
    parser.add_argument("--out", required=True, metavar="DIR", help="the new folder")
    training = parser.add_argument_group("training, for finetune, lora and distil")
    training.add_argument("--steps", type=int, metavar="N", help=f"default {_DEFAULTS.steps}")
    rates = ", ".join(f"{rate:g} for {name}" for name, rate in LEARNING_RATES.items())
    training.add_argument("--learning-rate", type=float, metavar="X", help=f"default {rates}")
    training.add_argument("--window", type=int, metavar="N", help=f"tokens per window (default {DEFAULT_WINDOW})")
    training.add_argument("--batch", type=int, metavar="N", help=f"windows per step (default {_DEFAULTS.batch})")
    training.add_argument("--rank", type=int, metavar="R", help=f"rank of lora's adapters (default {_DEFAULTS.rank})")


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of its stages, for the time left."""
    return {"loading": 1.0, "changing": 2.0, "training": 30.0, "saving": 2.0}


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    """Make it."""
    from fnet_core.derivation.ways import check_asked
    from fnet_core.storage.atomic import new_folder

    names = ("steps", "learning_rate", "window", "batch", "rank")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    training = Training(**given)
    way, value = check_asked(options.how, options.seed, training)
    if given and way not in LEARNING_RATES:
        raise RequestError(
            f"--{min(given).replace('_', '-')} goes with finetune and lora, and with distil; leave it out here."
        )
    folder = new_folder(options.out)
    for name in (options.model, value) if way == "merge" else (options.model,):
        check_model(name, options)
    from fnet_core.derivation.derive import derive

    derived = derive(
        options.model,
        options.how,
        folder,
        seed=options.seed,
        training=training,
        accept_licence=options.accept_licence,
        report=report,
    )
    lines = [
        f"{derived.folder}: {derived.how} of {derived.parent}, seed {derived.seed}",
        f"{derived.parameters_after:,} parameters ({derived.parameters_before:,} before) in {derived.dtype}, digest "
        f"{derived.digest[:12]}",
        *(f"{name.replace('_', ' ')}: {_words(value)}" for name, value in derived.facts.items()),
    ]
    return derived.summary(), lines


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_words(each) for each in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
