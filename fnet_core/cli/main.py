"""The command line: the same words and the same functions as the pages."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from fnet_core import logs, starting
from fnet_core._version import __version__
from fnet_core.checks import check_seed
from fnet_core.cli import COMMANDS, Parser
from fnet_core.cli.arguments import put_onto_base
from fnet_core.cli.terminal import hush_libraries, progress, show, show_json
from fnet_core.errors import RequestError, ran_out_of_memory
from fnet_core.visible import visible

DONE, FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 done, 2 wrong request (one line on stderr), 1 failed.

    A command that did a part of what it was asked for shows that and names its own status.
    """
    starting.begin()
    try:
        options = parser().parse_args(arguments)
        check_seed(options.seed)
        put_onto_base(options)
        logs.configure("error" if options.quiet else "debug" if options.verbose else None)
        hush_libraries(options.quiet)
        from fnet_core.storage import artifacts  # here, so that a wrong request loads no library

        artifacts.sweep()
        with progress(options.quiet, lambda: options.stages(options)) as report:
            result, parts = options.run(options, report)
        if options.json:
            show_json(result)
        else:
            show(parts)
        return options.status(result) if options.status else DONE
    except RequestError as error:
        print(f"fnet: {visible(str(error))}", file=sys.stderr)
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
        if ran_out_of_memory(error):
            print(
                "fnet: there is not enough memory for this; free some, or ask for less: a smaller model, fewer "
                "networks, less text.",
                file=sys.stderr,
            )
            return WRONG_REQUEST
        first = str(error).strip().splitlines()[:1]
        print(
            f"fnet: it failed while running: {type(error).__name__}: {visible(''.join(first))} "
            "(set FNET_DEBUG=1 for the whole story)",
            file=sys.stderr,
        )
        return FAILED


def parser(program: str | None = None) -> argparse.ArgumentParser:
    """The command line with every command's options; `program` is what it was called as unless given."""
    program = program or ("fnet" if Path(sys.argv[0]).stem == "fnet" else "python -m fnet_core")
    found = Parser(prog=program, description="Functional networks of language models.")
    found.add_argument("--version", action="version", version=f"FNet {__version__}")
    commands = found.add_subparsers(title="commands", metavar="COMMAND", required=True)
    common = Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    loudness = common.add_mutually_exclusive_group()
    loudness.add_argument("--quiet", action="store_true", help="nothing on stderr unless it fails")
    loudness.add_argument("--verbose", action="store_true", help="say on stderr what is done, step by step")
    common.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    for command in COMMANDS:
        sub = commands.add_parser(command.NAME, help=command.HELP, description=command.HELP, parents=[common])
        command.add_arguments(sub)
        sub.set_defaults(run=command.run, stages=command.stages, status=getattr(command, "status", None))
    return found
