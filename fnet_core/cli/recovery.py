"""Arguments of `prune` for training the pruned model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fnet_core.derivation.training import DEFAULT_WINDOW
from fnet_core.errors import RequestError

if TYPE_CHECKING:
    from fnet_core.derivation.recovering import RecoveryRequest


def add_recovery(parser: argparse.ArgumentParser) -> None:
    """--recover, how and on what it trains, and whether a random cut is trained too."""
    recovery = parser.add_argument_group("recovery")
    recovery.add_argument("--recover", type=int, metavar="STEPS", help="train the pruned model for so many steps")
    recovery.add_argument("--recover-by", choices=("lora", "finetune"), help="what is trained (default lora)")
    recovery.add_argument("--recover-text", metavar="F", help="text file to train on (default: the bundled passages)")
    recovery.add_argument("--recover-window", type=int, metavar="N", help=f"tokens a step (default {DEFAULT_WINDOW})")
    recovery.add_argument(
        "--recover-control", action="store_true", help="train a random cut of the same size as long, for comparison"
    )


def recovery_of(options: argparse.Namespace) -> RecoveryRequest | None:
    """The recovery that is asked for; RequestError for one that cannot be, and for its options without it."""
    given = [name for name in ("by", "text", "window", "control") if getattr(options, f"recover_{name}")]
    if options.recover is None:
        if given:
            raise RequestError(f"--recover-{given[0]} goes with --recover STEPS; give that too, or leave it out.")
        return None
    from fnet_core import texts
    from fnet_core.derivation.recovering import RecoveryRequest
    from fnet_core.derivation.training import Training

    text = options.recover_text
    return RecoveryRequest(
        texts.for_networks() if text is None else texts.whole_file(text),
        Training(steps=options.recover, window=options.recover_window),
        options.recover_by or "lora",
        options.seed,
    )
