"""Run by `test_older.py` with another transformers on the path: logits and ids of folders, as that version gives them.

python read_folder.py REQUEST.json OUT.npz
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoTokenizer


def main(request: Path, out: Path) -> None:
    """Read every folder of a family that this version knows; the arrays are named by folder."""
    asked = json.loads(request.read_text())
    found = {"version": np.array(transformers.__version__), "families": np.array(sorted(CONFIG_MAPPING))}
    for folder in map(Path, asked["folders"]):
        config = json.loads((folder / "config.json").read_text())
        if config["model_type"] not in CONFIG_MAPPING:
            continue
        try:
            found |= {f"{folder.name}.{what}": array for what, array in read(folder, config, asked).items()}
        except Exception as error:  # whatever a version cannot do with a folder is a finding
            found[f"{folder.name}.error"] = np.array(f"{type(error).__name__}: {error}"[:300])
    np.savez(out, **found)


@torch.no_grad()
def read(folder: Path, config: dict, asked: dict) -> dict[str, np.ndarray]:
    """Logits and number type of the model, ids of the text, and what is written greedily."""
    # what version 4 takes by itself leaves Gemma 2's capping out, also of the untouched model
    chosen = {"attn_implementation": "eager"} if config.get("attn_logit_softcapping") else {}
    tokenizer = AutoTokenizer.from_pretrained(folder)
    trusted = (folder / "modeling_fnet.py").exists()
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=trusted, **chosen)
    kept = np.array(str(model.dtype))
    ids = torch.tensor([asked["ids"]])
    model = model.float().eval()
    return {
        "kept": kept,
        "logits": model(input_ids=ids).logits[0].numpy(),
        "ids": np.array(tokenizer(asked["text"])["input_ids"]),
        "written": model.generate(ids[:, :5], max_new_tokens=5, do_sample=False, pad_token_id=0)[0].numpy(),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
