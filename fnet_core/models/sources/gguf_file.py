"""Whether a file starts as a GGUF file does, and what to say of one that cannot be read."""

from pathlib import Path

from fnet_core.errors import RequestError
from fnet_core.storage.artifacts import disk_errors

_MAGIC = b"GGUF"


def check_magic(source: Path) -> None:
    """`RequestError` unless the file exists and starts as a GGUF file does."""
    if not source.is_file():
        raise RequestError(f"There is no file {source}; check the path.")
    with disk_errors(source.parent), open(source, "rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise RequestError(incomplete(source))


def incomplete(source: Path) -> str:
    """The sentence that refuses a file which is no whole GGUF file that FNet reads."""
    return (
        f"{source.name} is not a complete GGUF file of a supported architecture; copy or download it again, "
        "or choose a model with safetensors."
    )
