"""`keys`: make a key to sign fingerprints with, and show the fingerprint of one, or who signed a file."""

import argparse
from pathlib import Path
from typing import Any

from fnet_core.progress import Report

NAME = "keys"
HELP = "make a key to sign fingerprints with, or show whose key it is"

_PROVES = (
    "A signature says that a file was not changed since the holder of this key signed it. Who that is, tell people by "
    "another way: publish the fingerprint of the key."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and the file."""
    parser.add_argument("action", choices=("new", "show"), help="new: make a key; show: the fingerprint of one")
    parser.add_argument(
        "file", metavar="FILE", help="the key; to show, also a public key or a signed fingerprint (.safetensors)"
    )


def stages(options: argparse.Namespace) -> dict[str, float]:
    """It takes no time."""
    return {}


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    """Make or show it."""
    path = Path(options.file).expanduser()
    from fnet_core.lineage.signing import name_in, new_key, save_key

    if options.action == "new":
        public = save_key(new_key(), path)
        name = name_in(public)
        lines = [f"{path}: the private key, readable for you alone; keep it, for nobody can make it again", f"{public}"]
        return {"key": name, "private": str(path), "public": str(public)}, [*lines, name, _PROVES]
    if options.file.endswith(".safetensors"):
        from fnet_core.lineage.fingerprint import Fingerprint

        signature = Fingerprint.load(path).signature
        told = signature.sentence if signature else "not signed"
        found = {"key": signature.signer, "made": signature.made} if signature else {"key": None, "made": None}
        return found, [f"{path}: {told}"]
    name = name_in(path)
    return {"key": name}, [name]
