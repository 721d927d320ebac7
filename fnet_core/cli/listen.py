"""`listen`: the networks of an atlas in any text."""

import argparse
from pathlib import Path
from typing import Any

from fnet_core.cli.arguments import add_model, check_model
from fnet_core.cli.terminal import Table, number_table
from fnet_core.errors import RequestError
from fnet_core.progress import Report
from fnet_core.time_left import LISTENING
from fnet_core.visible import visible

NAME = "listen"
HELP = "follow the networks of an atlas in a text of your own"
LISTED = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, its atlas, and the text as words or as a file."""
    add_model(parser)
    parser.add_argument("--atlas", metavar="F", required=True, help="the atlas whose networks are followed")
    text = parser.add_mutually_exclusive_group(required=True)
    text.add_argument("--text", metavar="WORDS", help="the text itself")
    text.add_argument("--file", metavar="F", help="a UTF-8 text file")


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of the stages, for the time left."""
    return LISTENING


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str | Table]]:
    """Load the model, read the text and list the networks by their highest activity in it."""
    from fnet_core import texts
    from fnet_core.storage.artifacts import read_header

    read_header(Path(options.atlas))
    text = options.text if options.file is None else texts.whole_file(options.file)[0].text
    if not text.strip():
        raise RequestError("There is no text to listen to; give some with --text or --file.")
    check_model(options.model, options)
    from fnet_core.networks.atlas import Atlas

    atlas = Atlas.load(Path(options.atlas))
    from fnet_core.models.loading import get_loaded
    from fnet_core.networks.listening import listen

    loaded = get_loaded(options.model, accept_licence=options.accept_licence, report=report)
    heard = listen(loaded, atlas, text, report)
    rows = [
        (f"{row.network}", f"{row.peak:.1f}", visible(str(row.word)), f"{row.label}")
        for row in heard.table().head(LISTED).itertuples()
    ]
    lines: list[str | Table] = [
        f"{loaded.name}: {len(heard.offsets_T2)} tokens, the networks that answer most:",
        number_table(("#", "peak SD", "at", "label"), (3, 7, 14), rows),
    ]
    if heard.cut:
        lines.append(heard.cut)
    return heard.summary() | {"model": loaded.name}, lines
