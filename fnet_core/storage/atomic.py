"""Files and folders that appear complete or not at all, whenever the process is killed."""

import errno
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from safetensors import SafetensorError

from fnet_core.errors import RequestError
from fnet_core.storage.place import home

_HOST = sha256(platform.node().encode()).hexdigest()[:8]
_LEFTOVER = re.compile(r"\..*\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}\.part")
_OTHER_HOST_SECONDS = 24 * 3600
_being_written: set[str] = set()

LONGEST_NAME = 200
"""Bytes of a folder's name; file systems take 255, and the unfinished folder's name is longer."""


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk, a read-only disk or a missing permission into a `RequestError` naming the folder."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        name = getattr(error, "filename", None)
        if isinstance(name, str | os.PathLike):
            folder = Path(name).parent
        code = _error_number(error)
        elsewhere = "choose another folder (FNET_HOME moves the cache)."
        if code in (errno.ENOSPC, errno.EDQUOT):
            raise RequestError(f"The disk with {folder} is full; free some space or {elsewhere}") from error
        if code == errno.EROFS:
            raise RequestError(f"The disk with {folder} is read-only; {elsewhere}") from error
        if code in (errno.EACCES, errno.EPERM):
            raise RequestError(f"FNet has no permission to use the folder {folder}; grant it or {elsewhere}") from error
        if code == errno.EFBIG:
            raise RequestError(
                f"A file in {folder} would be larger than this system lets one be; raise the limit (ulimit -f) or "
                f"{elsewhere}"
            ) from error
        if code == errno.EIO:
            raise RequestError(f"{name or folder} cannot be read or written; the disk may be failing.") from error
        if code == errno.ELOOP:
            raise RequestError(f"{name or folder} is a link in a circle; name the file itself.") from error
        if code == errno.ENAMETOOLONG:
            raise RequestError(f"{str(name or folder)[:60]}... is too long a name; give a shorter one.") from error
        raise


def _error_number(error: OSError | SafetensorError) -> int | None:
    """The system's error number, which safetensors gives in its message alone."""
    if isinstance(error, OSError):
        return error.errno
    named = re.search(r"os error (\d+)", str(error))
    return int(named[1]) if named else None


def check_file(path: str | Path) -> None:
    """RequestError unless a new file, or one in place of a plain file, can be written at `path`.

    What a folder, a link, a device or a pipe stands at is never replaced, and an empty name is no file.
    """
    if not str(path):
        raise RequestError("An empty name cannot be written to; name a file.")
    path = Path(path)
    try:
        if path.is_symlink():
            raise RequestError(f"{path} is a link; name the file that it points to, or another one.")
        if path.is_dir():
            raise RequestError(f"{path} is a folder; name a file in it.")
        if path.exists() and not path.is_file():
            raise RequestError(f"{path} is a device or a pipe; name a plain file.")
        above = next((folder for folder in path.absolute().parents if folder.exists()), None)
        blocked = above is not None and not above.is_dir()
    except OSError as error:
        raise RequestError(f"{str(path)[:60]} cannot name a file ({error.strerror}); choose another name.") from error
    if blocked:
        raise RequestError(f"{path} cannot be written, because {above} is a file; choose another folder.")


def move_aside(path: Path) -> None:
    """Give what is no plain file at a path another name, with all it holds, so that a file can be written there."""
    if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
        os.rename(path, path.with_name(f".{path.name}.{secrets.token_hex(4)}.aside"))


def check_names(folder: Path) -> None:
    """RequestError when a part of the path is too long to be saved under, or holds a NUL."""
    if "\0" in str(folder):
        raise RequestError("A name with a NUL character cannot be saved under; take it out.")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in Path(folder).parts):
        raise RequestError(f"A folder's name of more than {LONGEST_NAME} bytes cannot be saved; give a shorter one.")


def new_folder(folder: str | Path) -> Path:
    """A folder to save in; RequestError if something is there already or its name cannot be one."""
    if not str(folder):
        raise RequestError("An empty name cannot be saved under; name a new folder.")
    folder = Path(folder).expanduser()
    check_names(folder)
    try:
        if folder.is_symlink() or folder.exists():
            raise RequestError(f"{folder} exists already; choose a new folder.")
    except OSError as error:
        raise RequestError(f"{folder} cannot be a folder ({error.strerror}); choose another name.") from None
    return folder


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; it replaces `path` once the block ends well.

    An exception removes the temporary file and leaves `path` as it was; `check_file` and `disk_errors` apply.
    """
    check_file(path)
    with _temporary(path) as temporary:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)


@contextmanager
def atomic_folder(path: Path, only_new: bool = False) -> Iterator[Path]:
    """Yield a new folder beside `path` to fill; it is renamed to `path` once the block ends well.

    If `path` has been filled by then, the existing folder is kept and the new one removed, which with `only_new`
    raises RequestError. An exception removes the new folder; `disk_errors` apply.
    """
    with _temporary(path) as temporary:
        temporary.mkdir()
        yield temporary
        readable = temporary.stat().st_mode & 0o666
        for inside in temporary.rglob("*"):
            if not inside.is_symlink():
                if inside.is_file():
                    inside.chmod(readable)  # some libraries write for their owner alone
                _flush(inside)
        _flush(temporary)
        try:
            os.rename(temporary, path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            if only_new:
                raise RequestError(f"{path} appeared while it was being written; choose a new folder.") from None


def sweep_folder(folder: Path) -> list[Path]:
    """Remove what killed processes left half-written anywhere below `folder`, and return what was removed.

    What another machine that shares the folder left goes when a day old: its processes are unknown here.
    """
    leftovers = []
    with disk_errors(folder):
        for parent, folders, files in os.walk(folder):
            leftovers += [Path(parent, name) for name in folders + files if _is_leftover(Path(parent, name))]
            folders[:] = [name for name in folders if not _LEFTOVER.fullmatch(name)]
        for path in leftovers:
            _remove(path)
    return leftovers


def sweep_elsewhere() -> list[Path]:
    """Remove what killed processes left half-written outside the cache folder, and return what was removed.

    A disk that is not there, or that nothing may be removed from, is asked again the next time.
    """
    removed = []
    for note in home().glob(".*.part.note"):
        with suppress(OSError):
            path = Path(os.readlink(note))
            if path.name != note.stem or not _is_leftover(path, note):
                continue
            if path.exists():
                _remove(path)
                removed.append(path)
            if path.parent.is_dir():
                note.unlink()
    return removed


def _write_note(temporary: Path) -> Path | None:
    """Leave a link to a path that is being written in the cache folder, unless it lies there or none can be made."""
    temporary = temporary.absolute()
    with suppress(OSError, RequestError):
        if temporary.is_relative_to(home()):
            return None
        note = home() / f"{temporary.name}.note"
        note.symlink_to(temporary)
        return note
    return None


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Yield an unused path beside `path`, named after this process; remove what is still there at the end."""
    unique = f"{_HOST}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary = path.parent / f".{path.name[:100]}.{unique}.part"
    _being_written.add(temporary.name)
    note = _write_note(temporary)
    try:
        with disk_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _flush(path.parent)
    finally:
        _remove(temporary)
        if note:
            note.unlink(missing_ok=True)
        _being_written.discard(temporary.name)


def _flush(path: Path) -> None:
    """Force a file's bytes or a folder's entries to the disk; Windows has no such call for a folder."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _is_leftover(path: Path, note: Path | None = None) -> bool:
    """Whether a temporary path's writer is gone: a process id can be in use again, even by this process.

    The note on it, where there is one, tells when another machine began to write.
    """
    name = _LEFTOVER.fullmatch(path.name)
    if name is None or path.name in _being_written:
        return False
    if name["host"] == _HOST and os.name != "nt":
        return int(name["pid"]) == os.getpid() or not _is_alive(int(name["pid"]))
    with suppress(FileNotFoundError):
        return time.time() - (note or path).lstat().st_mtime > _OTHER_HOST_SECONDS
    return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
