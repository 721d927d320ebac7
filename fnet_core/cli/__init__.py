"""The commands of the command line, one module each: NAME, HELP, `add_arguments`, `stages`, `run` and maybe `status`.

A command imports what it runs with inside `run`, so that help and refusals need no library.

`run(options, report)` returns the JSON object, and the lines and tables for people.
"""

from fnet_core.cli import (
    atlas,
    audit,
    bundle,
    capabilities,
    changes,
    compare,
    completion,
    dashboard,
    derive,
    edit,
    fingerprint,
    independence,
    keys,
    labels,
    library,
    listen,
    logits,
    models,
    perplexity,
    prune,
    recur,
    replay,
    report,
    scan,
    worker,
)
from fnet_core.cli.arguments import Parser

COMMANDS = (
    models,
    atlas,
    recur,
    listen,
    labels,
    report,
    bundle,
    replay,
    logits,
    perplexity,
    capabilities,
    edit,
    prune,
    fingerprint,
    compare,
    changes,
    independence,
    keys,
    audit,
    scan,
    derive,
    worker,
    library,
    dashboard,
    completion,
)

__all__ = ["COMMANDS", "Parser"]
