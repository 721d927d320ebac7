"""GGUF files that come in parts: which belong together, and the one file they make."""

import re
from pathlib import Path

from gguf import GGUFReader, GGUFValueType, GGUFWriter

from fnet_core.errors import RequestError

_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)


def gguf_parts(source: Path) -> list[Path]:
    """All parts of the model that a .gguf file belongs to, in order; `RequestError` names one that is not there."""
    named = _PART.fullmatch(source.name)
    if named is None:
        return [source]
    stem, count = named[1], int(named[3])
    parts = [source.with_name(f"{stem}-{number:05}-of-{count:05}{source.suffix}") for number in range(1, count + 1)]
    if missing := [part.name for part in parts if not part.is_file()]:
        raise RequestError(
            f"{source.name} is one of {count} parts and {missing[0]} is not beside it; put all parts into one folder."
        )
    return parts


def join_parts(parts: list[Path], joined: Path) -> None:
    """Write one GGUF file with the metadata of the first part and the tensors of all, as they are.

    Raises what the reader raises if a part is damaged.
    """
    readers = [GGUFReader(part) for part in parts]
    first = readers[0].fields
    writer = GGUFWriter(joined, str(first["general.architecture"].contents()))
    for name, field in first.items():
        if name.startswith(("GGUF.", "split.")) or name == "general.architecture":
            continue
        inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), field.types[0], sub_type=inner)
    tensors = [tensor for reader in readers for tensor in reader.tensors]
    for tensor in tensors:
        writer.add_tensor_info(
            tensor.name, tensor.data.shape, tensor.data.dtype, tensor.data.nbytes, raw_dtype=tensor.tensor_type
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        writer.write_tensor_data(tensor.data)
    writer.close()
