"""Wrong inputs from right ones: bytes, JSON values, arrays under checksums that fit, tensors, words of a command."""

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save, save_file

from fnet_core.reporting.bundle import MANIFEST
from fnet_core.storage import checksums
from fnet_core.storage.artifacts import digest, file_digest
from fnet_core.storage.sealed import KEY, sealed

_DEEP = "@@deep@@"
_NUMBERS = (0, -1, 1, 2, 7, 10**6, 2**31, 2**63, 10**30, -(10**9), 0.5, -0.5, 1e-300, 1e300, float("nan"), float("inf"))
_WORDS = (
    "",
    " ",
    "x",
    "\0",
    "\x1b[31mred\x1b[0m",
    "a\nb",
    "../../../etc/passwd",
    "/dev/zero",
    "\u202e",
    "\ud800",
    "ü" * 300,
)
_OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None], {"a": {}}, [1, "a"], _DEEP, "y" * 100_000)
VALUES: tuple[Any, ...] = (*_NUMBERS, *_WORDS, *_OTHERS)
LINES = (
    *("", "-1", "0", "1e9", "nan", "inf", "-inf", "99999999999999999999", "0x10", "1_0", "½", "tiny", "no-such"),
    *("/dev/zero", "/dev/stdin", "/dev/null", "/proc/self/mem", "/", ".", "..", "~", "a/b", "a/b/c", "nul\0byte"),
    *(
        "x" * 5000,
        "\x1b[2Jclear",
        "two\nlines",
        "--",
        "--help",
        "-",
        "{}",
        "[" * 1000,
        "tiny@tiny",
        "a.gguf",
        "a.safetensors",
    ),
)


def change(random: Random, path: Path, others: Sequence[Path]) -> str:
    """Change a file in place, or what stands there, in one of the ways that its kind has; what was done, in words."""
    ways: list[Callable[[Random, Path], str]] = [_bytes, _bytes]
    if path.suffix == ".json":
        ways += [_json] * 6
    elif path.suffix == ".safetensors":
        ways += [_artifact if _is_artifact(path) else _tensors] * 6
    elif path.suffix == ".txt":
        ways += [_text] * 4
    elif path.suffix == ".zip":
        ways += [_packed] * 6
    way = random.choice([*ways, None])
    if way is not None:
        return way(random, path)
    other = random.choice([other for other in others if other.is_file()])
    path.write_bytes(other.read_bytes())
    return f"the content of {other.name}"


def change_words(random: Random, words: Sequence[str], options: Sequence[str]) -> list[str]:
    """A command with one or two of its words replaced, repeated, left out or added."""
    found = list(words)
    for _ in range(random.choice((1, 1, 2))):
        place = random.randrange(1, len(found)) if len(found) > 1 else 0
        match random.randrange(5):
            case 0 | 1:
                found[place] = random.choice(LINES)
            case 2:
                del found[place]
            case 3:
                found.insert(place, found[place])
            case 4:
                found += [random.choice(options), random.choice(LINES)][: random.choice((1, 2, 2, 2))]
        if not found:
            break
    return found


def _bytes(random: Random, path: Path) -> str:
    content = bytearray(path.read_bytes())
    length = len(content)
    if not length:
        content += random.randbytes(100)
    place, far = random.randrange(max(length, 1)), random.randrange(1, 200)
    match random.randrange(8):
        case 0:
            content[place % len(content)] ^= random.randrange(1, 256)
            said = f"byte {place} flipped"
        case 1:
            for _ in range(20):
                content[random.randrange(len(content))] ^= random.randrange(1, 256)
            said = "20 bytes flipped"
        case 2:
            del content[place:]
            said = f"cut at {place}"
        case 3:
            del content[place : place + far]
            said = f"{far} bytes gone at {place}"
        case 4:
            content[place:place] = random.randbytes(far)
            said = f"{far} bytes more at {place}"
        case 5:
            content[place : place + far] = bytes(min(far, length - place))
            said = f"zeros at {place}"
        case 6:
            content[:] = random.choice((b"", b"\0", b"{}", b"[" * 100_000, b"\xff\xfe", random.randbytes(3000)))
            said = f"{len(content)} bytes of something else"
        case _:
            content[place:place] = content[place : place + far] * 3
            said = f"{far} bytes repeated at {place}"
    path.write_bytes(content)
    return said


def _json(random: Random, path: Path) -> str:
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError:
        return _bytes(random, path)
    was_sealed = isinstance(content, dict) and KEY in content
    said = _change_value(random, content)
    if was_sealed and random.random() < 0.8:
        content = sealed(content)
    path.write_text(_written(content), "utf-8", "surrogatepass")
    return said


def _written(content: Any) -> str:
    return json.dumps(content).replace(f'"{_DEEP}"', "[" * 20_000 + "]" * 20_000)


def _change_value(random: Random, content: Any) -> str:
    """Change one entry somewhere inside, each level of depth equally likely to be gone on from."""
    at, name = [], content
    while isinstance(name, dict | list) and name:
        key = random.choice(list(name)) if isinstance(name, dict) else random.randrange(len(name))
        at.append((name, key))
        name = name[key]
        if random.random() < 0.3:
            break
    if not at:
        return "nothing to change"
    holder, key = at[-1]
    place = ".".join(str(key) for _, key in at)
    if random.random() < 0.2:
        del holder[key]
        return f"{place} left out"
    value = random.choice(VALUES)
    holder[key] = value
    return f"{place} = {str(value)[:30]!r}"


def _packed(random: Random, path: Path) -> str:
    """A file of a bundle changed by somebody who makes all digests fit."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.unpack_archive(path, folder)
        told, others = Path(folder, MANIFEST), [file for file in Path(folder).iterdir() if file.name != MANIFEST]
        chosen = random.choice([told, *others])
        said = change(random, chosen, others)
        try:
            manifest = json.loads(told.read_text("utf-8"))
            if chosen != told:
                manifest["files"][chosen.name]["sha256"] = file_digest(chosen)
            manifest.pop("digest", None)
            told.write_text(_written(manifest | {"digest": digest(manifest)}), "utf-8", "surrogatepass")
        except (ValueError, TypeError, AttributeError):
            said += ", without a digest that fits"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in (told, *others):
                packed.write(file, file.name)
    return f"{chosen.name}: {said}"


def _is_artifact(path: Path) -> bool:
    try:
        with safe_open(path, framework="np") as file:
            return "fnet" in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def _artifact(random: Random, path: Path) -> str:
    """A header or an array changed by somebody who makes the checksums fit."""
    with safe_open(path, framework="np") as file:
        header = json.loads(file.metadata()["fnet"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    said = _change_value(random, header) if random.random() < 0.5 else _change_array(random, arrays)
    try:
        content = save(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()}, {"fnet": _written(header)}
        )
    except (SafetensorError, UnicodeError):
        return _bytes(random, path)
    path.write_bytes(checksums.added(content))
    return said


def _tensors(random: Random, path: Path) -> str:
    try:
        arrays = load_file(path)
    except (SafetensorError, OSError, TypeError):
        return _bytes(random, path)
    said = _change_array(random, arrays)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path, {"format": "pt"})
    return said


def _change_array(random: Random, arrays: dict[str, np.ndarray]) -> str:
    if not arrays:
        return "no array to change"
    name = random.choice(list(arrays))
    array = arrays[name]
    match random.randrange(10):
        case 0:
            del arrays[name]
            return f"{name} left out"
        case 1:
            arrays[name] = array[..., None]
            return f"{name} with an axis more"
        case 2:
            arrays[name] = array.ravel()
            return f"{name} flat"
        case 3:
            arrays[name] = array[:0] if array.ndim else array
            return f"{name} empty"
        case 4:
            arrays[name] = array[:-1] if array.ndim else array
            return f"{name} one shorter"
        case 5:
            dtype = random.choice(("int8", "uint8", "int64", "float16", "float64", "bool"))
            arrays[name] = np.nan_to_num(array).astype(dtype)
            return f"{name} as {dtype}"
        case 6:
            arrays[random.choice(("", "more", "../x", "maps.99"))] = array
            return "one array more"
        case 7:
            arrays[name] = np.zeros_like(array)
            return f"{name} zero"
        case _:
            value = random.choice((np.nan, np.inf, -1, 1e30, 2**31 - 1))
            filled = array.copy()
            with np.errstate(all="ignore"):
                number = np.array(value)
                if filled.dtype.kind in "iub":
                    number = np.nan_to_num(number, nan=0, posinf=100, neginf=-100).clip(-128, 2**31 - 1)
                filled.reshape(-1)[: max(filled.size // 3, 1)] = number.astype(filled.dtype)
            arrays[name] = filled
            return f"{name} with {value}"


def _text(random: Random, path: Path) -> str:
    content = path.read_bytes()
    choices = {
        "nothing but spaces": b"  \n\n \n",
        "one letter": b"a",
        "a byte-order mark": b"\xef\xbb\xbf" + content,
        "UTF-16": content.decode("utf-8", "replace").encode("utf-16"),
        "zeros inside": content.replace(b"harbour", b"har\0bour"),
        "no end of a word": b"x" * 30_000,
        "many lines": b"a\n" * 10_000,
        "one passage": content.replace(b"\n\n", b" "),
        "other scripts": "море тихо. 海は静かだった。\u202e\u0301\U0001f6a2 ".encode() * 50,
        "special tokens": b"<s> </s> <unk> <pad> <|endoftext|>\n\n" * 20,
        "no valid UTF-8": os.fsencode(b"\xc3\x28" * 100),
        "escapes": b"\x1b[31m red \x1b[0m\r\n\n" * 20,
        "the same again and again": b"the boat. \n\n" * 3000,
    }
    said = random.choice(list(choices))
    path.write_bytes(choices[said])
    return said
