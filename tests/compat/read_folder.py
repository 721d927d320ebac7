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


@torch.no_grad()
def main(request: Path, out: Path) -> None:
    """Load every folder of a family that this version knows; the arrays are named by folder."""
    asked = json.loads(request.read_text())
    found = {"version": np.array(transformers.__version__), "families": np.array(sorted(CONFIG_MAPPING))}
    for folder in map(Path, asked["folders"]):
        config = json.loads((folder / "config.json").read_text())
        if config["model_type"] not in CONFIG_MAPPING:
            continue
        # what version 4 takes by itself leaves Gemma 2's capping out, also of the untouched model
        chosen = {"attn_implementation": "eager"} if config.get("attn_logit_softcapping") else {}
        tokenizer = AutoTokenizer.from_pretrained(folder)
        trusted = (folder / "modeling_fnet.py").exists()
        model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=trusted, **chosen)
        found[f"{folder.name}.kept"] = np.array(str(model.dtype))
        ids = torch.tensor([asked["ids"]])
        found[f"{folder.name}.logits"] = model.float().eval()(input_ids=ids).logits[0].numpy()
        found[f"{folder.name}.ids"] = np.array(tokenizer(asked["text"])["input_ids"])
        written = model.generate(ids[:, :5], max_new_tokens=5, do_sample=False, pad_token_id=0)
        found[f"{folder.name}.written"] = written[0].numpy()
    np.savez(out, **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
