"""Signed fingerprints: who holds a key said at a time of their own telling that a file's content is theirs.

Ed25519 by the library `cryptography`, keys in OpenSSH's format. A signature says that the content was not changed since
the holder of the key signed it. It does not say who that is, that the fingerprint is of the model it names, or when it
was made: the time is what the signer wrote.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from fnet_core.errors import RequestError
from fnet_core.inputs import check_plain
from fnet_core.storage.atomic import atomic_file, check_file, disk_errors

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_DOMAIN = "FNet fingerprint, signature 1"
_LONGEST_KEY = 16_384
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@dataclass(frozen=True)
class Signature:
    """A signature as a file holds it."""

    key: str
    """The public key, 32 bytes in hex."""
    made: str
    """When, as the signer says: 2026-11-26T18:00:00Z."""
    value: str
    """64 bytes in hex."""

    @property
    def signer(self) -> str:
        """The key's fingerprint, as `ssh-keygen -l` shows it."""
        return key_name(bytes.fromhex(self.key))

    @property
    def sentence(self) -> str:
        """Who signed, and when by their own telling."""
        return f"signed by the key {self.signer}, which gives {self.made} as the time"

    def holds(self, content: str) -> bool:
        """Whether this key signed the content of this digest at this time."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.key))
            public.verify(bytes.fromhex(self.value), _message(content, self.made, self.key))
        except (InvalidSignature, ValueError):
            return False
        return True

    @classmethod
    def from_header(cls, content: object) -> Signature:
        """The signature that a file's header holds; ValueError for anything else."""
        if not isinstance(content, dict) or content.keys() != {"key", "made", "value"}:
            raise ValueError("the signature is incomplete")
        patterns = {"key": "[0-9a-f]{64}", "made": _TIME, "value": "[0-9a-f]{128}"}
        if not all(isinstance(content[at], str) and re.fullmatch(form, content[at]) for at, form in patterns.items()):
            raise ValueError("the signature is malformed")
        return cls(**content)


def _message(content: str, made: str, key: str) -> bytes:
    return "\n".join((_DOMAIN, content, made, key)).encode()


def sign(content: str, key: Ed25519PrivateKey) -> Signature:
    """The signature of a content digest, with the present time."""
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    public = key.public_key().public_bytes_raw().hex()
    return Signature(public, made, key.sign(_message(content, made, public)).hex())


def key_name(public: bytes) -> str:
    """The fingerprint of a public key, as OpenSSH writes it."""
    parts = (b"ssh-ed25519", public)
    wire = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return "SHA256:" + b64encode(sha256(wire).digest()).decode().rstrip("=")


def new_key() -> Ed25519PrivateKey:
    """A new key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate()


def save_key(key: Ed25519PrivateKey, path: Path) -> Path:
    """Write a key for its owner's eyes alone, and its public half beside it, whose path is returned.

    RequestError where either exists: a key is never replaced. A key whose public half is missing, as where this was
    stopped between the two, gets it.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    public = path.with_name(f"{path.name}.pub")
    stopped = _without_public_half(path, public)
    missing = (path, public) if stopped is None else (public,)
    for each in missing:
        check_file(each)
        if each.exists():
            raise RequestError(f"{each} exists already; a key is never replaced, so choose another name.")
    key = stopped or key
    contents = {
        path: (key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), 0o600),
        public: (key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" fnet\n", 0o644),
    }
    for each in missing:
        content, mode = contents[each]
        with atomic_file(each) as temporary, open(os.open(temporary, _NEW, mode), "wb") as file:
            file.write(content)
    return public


def _without_public_half(path: Path, public: Path) -> Ed25519PrivateKey | None:
    """The key that is there while its public half is not; None for any other file, and for none."""
    if public.exists() or not path.is_file():
        return None
    try:
        return load_key(path)
    except RequestError:
        return None


def load_key(path: Path) -> Ed25519PrivateKey:
    """The key in a file; RequestError for a missing one, one of another kind, and one under a passphrase."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    content = _content(path)
    try:
        found = load_ssh_private_key(content, password=None)
    except TypeError:
        raise RequestError(
            f"The key {path} is under a passphrase, which FNet does not ask for; make one with: fnet keys new FILE."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PrivateKey):
        raise RequestError(f"{path} is no private Ed25519 key in OpenSSH's format; make one with: fnet keys new FILE.")
    return found


def name_in(path: Path) -> str:
    """The fingerprint of the key in a private or public key file; RequestError for a file that holds none."""
    content = _content(path)
    kind, _, rest = content.partition(b" ")
    if kind != b"ssh-ed25519":
        return key_name(load_key(path).public_key().public_bytes_raw())
    try:
        wire = b64decode(rest.split()[0], validate=True)
    except (ValueError, IndexError):
        wire = b""
    if len(wire) != 51:
        raise RequestError(f"{path} is no whole public key; copy it again.")
    return key_name(wire[-32:])


def _content(path: Path) -> bytes:
    try:
        with disk_errors(path.parent):
            check_plain(path)
            with open(path, "rb") as file:
                return file.read(_LONGEST_KEY)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise RequestError(f"There is no key {path}; make one with: fnet keys new FILE.") from None
