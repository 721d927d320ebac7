"""The model folder that a person most likely meant when they named something near it."""

import re
from pathlib import Path

from fnet_core.errors import RequestError
from fnet_core.models.adapters import is_adapter
from fnet_core.models.folder import weight_files

CONFIG = "config.json"


def meant_folder(path: Path) -> tuple[Path, str]:
    """The model folder that `path` stands for, and a sentence on why it is another one, empty where it is not.

    A weights file stands for its folder, a repository in the hub's cache for its only or current snapshot, a
    trainer's folder for its newest checkpoint. `RequestError` where several could be meant, or none.
    """
    if path.is_file():
        return _folder_of(path)
    if (path / CONFIG).is_file() or is_adapter(path) or not path.is_dir():
        return path, ""
    if path.name == "snapshots" and path.parent.name.startswith("models--"):
        path = path.parent
    if (path / "snapshots").is_dir():
        found = _snapshot(path)
        return found, f"{path.name} is a repository in the hub's cache; its snapshot {found.name[:12]} is used."
    if checkpoints := _checkpoints(path):
        newest = checkpoints[-1]
        return newest, f"{path} holds a training run; its newest checkpoint {newest.name} is used."
    if repositories := sorted(path.glob("models--*")):
        names = ", ".join(each.name.removeprefix("models--").replace("--", "/") for each in repositories[:5])
        raise RequestError(f"{path} is the hub's cache of several models; give one by its name: {names}.")
    return path, ""


def _folder_of(file: Path) -> tuple[Path, str]:
    folder = file.parent
    if file.suffix != ".safetensors":
        raise RequestError(f"{file} is a file; give the folder with config.json and *.safetensors, or a .gguf file.")
    if not (folder / CONFIG).is_file():
        raise RequestError(f"{file} is a weights file without a config.json beside it; give a whole model folder.")
    if file not in (used := weight_files(folder)):
        raise RequestError(
            f"{file.name} is not what the model in {folder} is loaded from ({used[0].name}); put it into a folder of "
            "its own, as model.safetensors with the config.json and tokenizer that belong to it."
        )
    return folder, f"{file.name} is a weights file; the folder that it lies in is used."


def _snapshot(repository: Path) -> Path:
    snapshots = sorted(each for each in (repository / "snapshots").iterdir() if (each / CONFIG).is_file())
    current = repository / "refs" / "main"
    wanted = current.read_text("utf-8").strip() if current.is_file() else ""
    chosen = [each for each in snapshots if each.name == wanted] or snapshots
    if len(chosen) != 1:
        raise RequestError(
            f"{repository} holds {len(snapshots)} snapshots with a config.json; give one of the folders below "
            f"{repository / 'snapshots'}, or the repository's name."
        )
    return chosen[0]


def _checkpoints(folder: Path) -> list[Path]:
    """A trainer's checkpoints that hold a model or an adapter, oldest first."""
    numbered = [(re.fullmatch(r"checkpoint-(\d+)", each.name), each) for each in folder.iterdir()]
    found = [
        (int(name[1]), each) for name, each in numbered if name and ((each / CONFIG).is_file() or is_adapter(each))
    ]
    return [each for _, each in sorted(found)]
