"""Convert model folders to GGUF with the format's own converter, read them back, and compare logits and ids.

    python -m benchmarks.gguf_round_trip CONVERTER FOLDER [FOLDER ...]

CONVERTER is llama.cpp's `convert_hf_to_gguf.py`, which no wheel holds; the source archive of llama-cpp-python does,
under `vendor/llama.cpp`, beside the packages it needs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from fnet_core import texts
from fnet_core.errors import RequestError
from fnet_core.models import loading as models


def main() -> None:
    """Print one JSON object per folder: the file's size and the largest difference, or what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("converter", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    options = parser.parse_args()
    for folder in options.folders:
        with tempfile.TemporaryDirectory() as temporary:
            print(json.dumps({"folder": folder.name} | _round_trip(options.converter, folder, Path(temporary))))


def _round_trip(converter: Path, folder: Path, temporary: Path) -> dict:
    out = temporary / f"{folder.name}.gguf"
    command = [sys.executable, converter, folder.resolve(), "--outfile", out, "--outtype", "f32"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        return {"converter": finished.stderr.strip().splitlines()[-1]}
    try:
        before, after = models.load(str(folder.resolve())), models.load(str(out))
    except RequestError as error:
        return {"megabytes": out.stat().st_size / 1e6, "read back": str(error)}
    text = texts.bundled("score")[0].text
    ids = [loaded.tokenizer(text, add_special_tokens=False)["input_ids"][:200] for loaded in (before, after)]
    with torch.no_grad():
        one, other = (loaded.model(torch.tensor([ids[0]])).logits for loaded in (before, after))
    return {
        "megabytes": out.stat().st_size / 1e6,
        "same ids": ids[0] == ids[1],
        "largest logit": float(one.abs().max()),
        "largest difference": float((one - other).abs().max()),
    }


if __name__ == "__main__":
    main()
