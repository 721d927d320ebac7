"""The command line: the same words and the same functions as the pages."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from fnet_core._version import __version__
from fnet_core.cli import COMMANDS, Parser
from fnet_core.cli.arguments import put_onto_base
from fnet_core.errors import RequestError
from fnet_core.progress import Report
from fnet_core.threads import wait_politely

DONE, FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 done, 2 wrong request (one line on stderr), 1 failed."""
    wait_politely()
    try:
        options = _parser().parse_args(arguments)
        put_onto_base(options)
        from fnet_core.storage import artifacts  # here, so that a wrong request loads no library

        artifacts.sweep()
        result, lines = options.run(options, _stderr_report(options.quiet))
        print(json.dumps(result, ensure_ascii=False, allow_nan=False) if options.json else "\n".join(lines))
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
    installed = Path(sys.argv[0]).stem == "fnet"
    parser = Parser(
        prog="fnet" if installed else "python -m fnet_core", description="Functional networks of language models."
    )
    parser.add_argument("--version", action="version", version=f"FNet {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    common = Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    common.add_argument("--quiet", action="store_true", help="no progress on stderr")
    common.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    for command in COMMANDS:
        sub = commands.add_parser(command.NAME, help=command.HELP, description=command.HELP, parents=[common])
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
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
