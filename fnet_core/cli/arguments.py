"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from fnet_core.checks import check_range
from fnet_core.choices import DEFAULT_THRESHOLD, DEFAULT_WINDOW, DEFINITIONS, MOST_PASSAGES, SITES
from fnet_core.engine.naming import TLS_VARIABLE, VARIABLE
from fnet_core.errors import RequestError

if TYPE_CHECKING:
    from fnet_core.evaluation.request import Yardstick
    from fnet_core.texts import Passage, Split


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with exit status 2."""

    def error(self, message: str) -> NoReturn:
        raise RequestError(f"{message} (see {self.prog} --help)")


def add_model(parser: argparse.ArgumentParser) -> None:
    """MODEL, --base and --accept-licence."""
    parser.add_argument("model", metavar="MODEL", help="starter, hub repository, folder or .gguf file")
    parser.add_argument(
        "--base", metavar="BASE", help="the model that a LoRA adapter, MODEL, is put onto (also MODEL@BASE)"
    )
    parser.add_argument(
        "--accept-licence", action="store_true", help="accept the licence that the model asks to accept"
    )


def add_sides(parser: argparse.ArgumentParser, side: str) -> None:
    """A and B, each of which may be a `side`, and --accept-licence."""
    parser.add_argument("a", metavar="A", help=side)
    parser.add_argument("b", metavar="B", help=side)
    add_licence(parser)


def add_licence(parser: argparse.ArgumentParser) -> None:
    """--accept-licence of a command that takes more than one model."""
    parser.add_argument("--accept-licence", action="store_true", help="accept the licence that a model asks to accept")


TLS_HELP = f"folder with the certificate that an engine's machines share; the scheduler makes it (also {TLS_VARIABLE})"


def add_engine(parser: argparse.ArgumentParser, what: str) -> None:
    """--engine and --tls of a command that an engine can do `what` for."""
    parser.add_argument(
        "--engine", metavar="tcp://HOST:PORT", help=f"let the workers of this engine {what} (also {VARIABLE})"
    )
    parser.add_argument("--tls", metavar="FOLDER", help=TLS_HELP)


def put_onto_base(options: argparse.Namespace) -> None:
    """Make MODEL and --base one name, MODEL@BASE; RequestError where MODEL is no adapter."""
    from fnet_core.models.adapters import is_adapter

    if (base := getattr(options, "base", None)) is None:
        return
    if not is_adapter(Path(options.model).expanduser()):
        raise RequestError(f"{options.model} is no folder with a LoRA adapter; leave --base out.")
    options.model = f"{options.model}@{base}"


def check_model(name: str, options: argparse.Namespace) -> None:
    """RequestError for a model that cannot be used as the options say, where that is known before it is loaded."""
    from fnet_core.models.naming import check_usable

    check_usable(name.strip(), options.accept_licence, getattr(options, "site", None))


def check_outputs(*paths: str | None) -> None:
    """RequestError where a file that was asked for could not be written, before any work."""
    from fnet_core.storage.atomic import check_file

    for path in paths:
        if path is not None:
            check_file(path)


class _UntilEnough(argparse.Action):
    """A number of passages, or `auto` or `auto:N`, which sets `enough` and the most that are taken."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        name, colon, most = str(values).partition(":")
        namespace.enough = name == "auto"
        count = (most if colon else str(MOST_PASSAGES)) if namespace.enough else str(values)
        try:
            namespace.passages = int(count)
        except ValueError:
            parser.error(f"argument --passages: '{values}' is neither a number nor auto nor auto:N")


def add_texts(parser: argparse.ArgumentParser, split: Split, *, auto: bool = False) -> None:
    """--texts, --dataset and --passages; the bundled `split` is the default. With `auto`, as many as it takes, too."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--texts", metavar="F", help=f"text file (default: the bundled passages to {split} on)")
    source.add_argument("--dataset", metavar="D", help="text dataset of the hub, owner/name[:configuration]")
    if not auto:
        parser.add_argument("--passages", type=int, metavar="N", help="use the first N passages only")
        return
    parser.set_defaults(enough=False)
    parser.add_argument(
        "--passages",
        action=_UntilEnough,
        metavar="N|auto",
        help=f"use the first N passages only; auto: as many as it takes until networks come back in both halves of the "
        f"text, {MOST_PASSAGES} at most (auto:N: N at most)",
    )


def passages_of(options: argparse.Namespace, split: Split) -> tuple[Passage, ...]:
    """The passages that --texts, --dataset and --passages name; RequestError if there are not so many."""
    from fnet_core import texts
    from fnet_core.texts import DATASET_PASSAGES

    wanted = options.passages
    if wanted is not None:
        check_range(wanted, 1, math.inf, f"--passages {wanted} is", "choose 1 or more")
    if options.dataset is not None:
        return texts.from_dataset(options.dataset, passages=wanted or DATASET_PASSAGES)
    passages = texts.from_file(options.texts) if options.texts is not None else _bundled(split)
    if wanted is not None and not getattr(options, "enough", False):
        check_range(wanted, 1, len(passages), f"--passages {wanted} is", f"the text has {len(passages)} passages")
    return passages[:wanted]


def _bundled(split: Split) -> tuple[Passage, ...]:
    from fnet_core import texts

    return texts.for_networks() if split == "find" else texts.bundled(split)


def add_networks(parser: argparse.ArgumentParser) -> None:
    """--site, --scope and --components: which networks are found."""
    parser.add_argument("--site", choices=SITES, default="mlp", help="where to read (default mlp)")
    parser.add_argument(
        "--scope",
        default="model",
        metavar="S",
        help="model: all layers together (default); layer: each alone; window:3: 3 neighbouring layers, sliding",
    )
    parser.add_argument("--components", type=int, default=32, metavar="K", help="how many networks (default 32)")


def add_threshold(parser: argparse.ArgumentParser) -> None:
    """--threshold."""
    parser.add_argument(
        "--threshold",
        type=float,
        default=DEFAULT_THRESHOLD,
        metavar="Z",
        help="abs(z) above which a neuron is a key neuron (default 3)",
    )


def checked_threshold(options: argparse.Namespace) -> float:
    """The threshold; RequestError if it is negative or not a number."""
    what = f"The threshold {options.threshold} is"
    check_range(options.threshold, 0, math.inf, what, "choose 0 or more, such as 3", "[)")
    return options.threshold


def add_yardstick(parser: argparse.ArgumentParser) -> None:
    """--definition, --window and --stride."""
    parser.add_argument("--definition", choices=DEFINITIONS, default="token", help="perplexity per (default token)")
    parser.add_argument("--window", type=int, metavar="N", help=f"tokens per window (default {DEFAULT_WINDOW})")
    parser.add_argument("--stride", type=int, metavar="N", help="tokens between windows (default: the window)")


def yardstick_of(options: argparse.Namespace) -> Yardstick:
    """The yardstick that the options name; a text file is one document."""
    from fnet_core import texts
    from fnet_core.evaluation.request import Yardstick
    from fnet_core.evaluation.windows import check_cut

    check_cut(options.definition, options.window, options.stride)
    passages = texts.whole_file(options.texts) if options.texts is not None else passages_of(options, "score")
    return Yardstick(passages, options.definition, options.window, options.stride)
