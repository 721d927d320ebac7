"""The command line: the same words and the same functions as the pages."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fnet_core import atlas as atlases
from fnet_core import store, texts
from fnet_core.atlas_request import AtlasRequest, find_atlas
from fnet_core.errors import RequestError
from fnet_core.families import SITES
from fnet_core.ica import CONTRASTS
from fnet_core.memory import gigabytes
from fnet_core.model_cards import available
from fnet_core.progress import Report

DONE, FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with exit status 2."""

    def error(self, message: str) -> None:
        raise RequestError(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 done, 2 wrong request (one line on stderr), 1 failed."""
    try:
        options = _parser().parse_args(arguments)
        store.sweep()
        result, lines = options.run(options, _stderr_report(options.quiet))
        print(json.dumps(result, ensure_ascii=False) if options.json else "\n".join(lines))
    except RequestError as error:
        print(f"fnet: {error}", file=sys.stderr)
        return WRONG_REQUEST
    except KeyboardInterrupt:
        print("fnet: stopped; nothing was left half-done.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if os.environ.get("FNET_DEBUG"):
            traceback.print_exc()
        first = str(error).strip().splitlines()[:1]
        print(
            f"fnet: it failed while running: {type(error).__name__}: {''.join(first)} "
            "(set FNET_DEBUG=1 for the whole story)",
            file=sys.stderr,
        )
        return FAILED
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m fnet_core", description="Functional networks of language models.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    common = _Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    common.add_argument("--quiet", action="store_true", help="no progress on stderr")
    common.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    model = _Parser(add_help=False)
    model.add_argument("model", metavar="MODEL", help="starter, hub repository, folder or .gguf file")
    model.add_argument(
        "--accept-licence", action="store_true", help="accept the licence that the model asks to accept"
    )

    def command(name: str, run: Callable, help: str, *parents: argparse.ArgumentParser):
        sub = commands.add_parser(name, help=help, description=help, parents=[common, *parents])
        sub.set_defaults(run=run)
        return sub

    command("models", _models, "list starters and cached models, and whether they fit here")
    atlas = command("atlas", _atlas, "find a model's functional networks", model)
    atlas.add_argument("--texts", metavar="F", help="text file (default: the bundled passages to find on)")
    atlas.add_argument("--passages", type=int, metavar="N", help="use the first N passages only")
    atlas.add_argument("--site", choices=SITES, default="mlp", help="where to read (default mlp)")
    atlas.add_argument("--scope", choices=atlases.SCOPES, default="model", help="decompose all layers together or each")
    atlas.add_argument("--components", type=int, default=32, metavar="K", help="how many networks (default 32)")
    atlas.add_argument("--restarts", type=int, default=10, metavar="R", help="ICA restarts (default 10)")
    atlas.add_argument("--contrast", choices=CONTRASTS, default="logcosh", help="ICA contrast")
    atlas.add_argument(
        "--threshold", type=float, default=atlases.DEFAULT_THRESHOLD, metavar="Z",
        help="abs(z) above which a neuron is a key neuron (default 3)",
    )  # fmt: skip
    atlas.add_argument("--out", metavar="F", help="also save the atlas to this file")
    atlas.add_argument("--csv", metavar="F", help="also save the key neurons of every network as CSV")
    return parser


def _stderr_report(quiet: bool) -> Report:
    """Progress on stderr: a line per stage, or one line that is rewritten on a terminal."""
    terminal = sys.stderr.isatty()
    last = ["", -1]

    def report(stage: str, fraction: float) -> None:
        percent = int(fraction * 100)
        if quiet or [stage, percent] == last:
            return
        if terminal:
            print(f"\r{stage} {percent:3d} %   ", end="\n" if percent == 100 else "", file=sys.stderr, flush=True)
        elif stage != last[0]:
            print(stage, file=sys.stderr, flush=True)
        last[:] = [stage, percent]

    return report


def passages_of(options: argparse.Namespace) -> tuple[texts.Passage, ...]:
    """The passages that --texts and --passages name; the bundled ones to find on by default."""
    passages = texts.from_file(options.texts) if options.texts else texts.bundled("find")
    if options.passages is not None:
        if not 1 <= options.passages <= len(passages):
            raise RequestError(
                f"--passages {options.passages} is out of range; the text has {len(passages)} passages."
            )
        passages = passages[: options.passages]
    return passages


def _models(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    cards = available()
    rows = [
        {
            "name": card.name,
            "title": card.title,
            "licence": card.licence,
            "licence_url": card.licence_url,
            "must_accept": card.must_accept,
            "cached": card.cached,
            "download_bytes": card.download_bytes,
            "parameters": card.parameters,
            "fits": card.memory.fits if card.memory else None,
        }
        for card in cards
    ]
    lines = []
    for card in cards:
        size = f"{card.parameters / 1e6:,.0f} M parameters" if card.parameters else "unread"
        state = "on this machine" if card.cached else f"{gigabytes(card.download_bytes)} to fetch"
        lines.append(f"{card.name:20} {size:22} {state:18} {card.licence or 'licence unknown'}")
        if card.memory:
            lines.append(f"{'':20} {card.memory.sentence}")
    return {"models": rows}, lines


def _atlas(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    if not 0 <= options.threshold < float("inf"):
        raise RequestError(f"The threshold {options.threshold} is out of range; choose 0 or more, such as 3.")
    request = AtlasRequest(
        model=options.model,
        passages=passages_of(options),
        site=options.site,
        scope=options.scope,
        components=options.components,
        seed=options.seed,
        restarts=options.restarts,
        contrast=options.contrast,
    )
    found = find_atlas(request, report, accept_licence=options.accept_licence)
    atlas, path = found.atlas, found.path
    if options.out:
        path = Path(options.out)
        atlas.save(path)
    if options.csv:
        with store.atomic_file(Path(options.csv)) as temporary:
            atlas.all_key_neurons(options.threshold).to_csv(temporary, index=False)
    result = atlas.summary(options.threshold) | {"computed": found.computed, "artifact": str(path)}
    lines = [f"{'#':>3}  {'variance':>8}  {'I_q':>4}  {'neurons':>7}  {'layers':>6}  label"]
    for row in atlas.table(options.threshold).itertuples():
        lines.append(
            f"{row.network:>3}  {row.variance:>8.2%}  {row.stability:>4.2f}  {row.key_neurons:>7,}  "
            f"{row.layers:>6}  {row.label}"
        )
    lines.append(
        f"{atlas.tokens:,} tokens in {len(atlas.passages)} passages, "
        + ("found in " if found.computed else "from the store, found in ")
        + f"{sum(atlas.seconds.values()):.1f} s; saved as {path}"
    )
    return result, lines
