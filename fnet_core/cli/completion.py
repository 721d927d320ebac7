"""`completion`: a script that lets a shell complete commands, options and their choices."""

import argparse
from typing import Any

from fnet_core.errors import RequestError
from fnet_core.progress import Report

NAME = "completion"
HELP = "print a script for your shell that completes commands, options and choices (needs the package shtab)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", choices=("bash", "zsh"), help='bash: eval "$(fnet completion bash)"; zsh likewise')


def stages(options: argparse.Namespace) -> dict[str, float]:
    """None: it is done at once."""
    return {}


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    """The script for the command `fnet`; RequestError where shtab is missing."""
    from fnet_core.cli.main import parser

    try:
        import shtab
    except ImportError as error:
        raise RequestError("Completion needs the package 'shtab'; install it with: pip install shtab.") from error
    script = shtab.complete(parser("fnet"), options.shell)
    return {"script": script}, script.splitlines()
