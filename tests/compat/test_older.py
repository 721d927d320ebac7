"""Exports in transformers 4.57 and 5: the same logits, ids and written tokens, in a process of each version."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.pruning_cases import SENTENCES, even_plan, request_for, uneven_plan
from support.tiny_models import starting_tokenizer, tiny_model, tiny_tokenizer, tiny_wrapper
from transformers import LlamaTokenizer, Qwen2Tokenizer

from fnet_core.abilities import abilities
from fnet_core.derivation.derive import derive
from fnet_core.interventions.baking import bake
from fnet_core.interventions.edits import Edit
from fnet_core.models import loading as models
from fnet_core.models.families import FAMILIES
from fnet_core.models.sources.tiny import build_tiny
from fnet_core.models.wrappers import WRAPPERS
from fnet_core.pruning.export import export
from fnet_core.pruning.masking import prepare

pytestmark = pytest.mark.compat

EARLIER = ("transformers==4.57.6", "huggingface-hub<1", "tokenizers<0.23")
ROTATED = {"rope_theta": 321.0, "rotary_emb_base": 321.0, "rope_local_base_freq": 57.0}
_ONE_BASE = {"rope_type": "default", "rope_theta": 321.0}
OWN = {
    # two of six numbers of each head; the default share of so small a head would be one, which cannot be turned
    "stablelm": {"rope_theta": 321.0, "partial_rotary_factor": 0.34},
    # version 4 has one base for both kinds of layer
    "olmo3": {"rope_parameters": {"full_attention": _ONE_BASE, "sliding_attention": _ONE_BASE}},
}
SCALED = {
    "linear": {"rope_type": "linear", "factor": 3.0, "rope_theta": 321.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
        "rope_theta": 321.0,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "rope_theta": 321.0},
}
WRAPPED = ("gemma3", "qwen2_5_vl")
"""Models with a text model inside, which is what leaves of them."""
IDS = [5, 9, 22, 7, 31, 14, 40, 12, 6, 8, 19, 33, 4, 11, 27, 9, 50, 16, 21, 45, 3, 18]
EDITS = (Edit("mlp", ((0, 1), (2, 7)), gain=0.0),)


def saved(folder, family, tokenizer=None, dtype=torch.float32, **changes):
    """A tiny model whose rotary bases are not the default, where its family has them."""
    has_rope = hasattr(tiny_model(family).config, "rope_parameters")
    own = copy.deepcopy(OWN.get(family, ROTATED if has_rope else {}))
    tiny_model(family, **(own | changes)).to(dtype).save_pretrained(folder)
    tokenizer = tokenizer or (qwen_tokenizer() if family == "qwen2" else tiny_tokenizer())
    tokenizer.save_pretrained(folder)
    return folder


def exports_of(family, source, into) -> list[Path]:
    """What leaves the project for one model, as far as it can: derived, edited, cut evenly, cut unevenly."""
    loaded = models.load(str(source))
    works = {(ability.operation, ability.site) for ability in abilities(loaded.model.config, family) if ability.works}
    made = [derive(str(source), "noise:0.01", into / f"{source.name}-derived").folder]
    if ("bake", "mlp") in works:
        made.append(bake(loaded, EDITS, into / f"{source.name}-edited", {"model": family}))
    if ("neurons", None) in works:
        even = prepare(loaded, even_plan(loaded, ("plain heads", None) in works), "none", request_for(loaded.family))
        uneven = prepare(loaded, uneven_plan(loaded), "bias", request_for(loaded.family))
        made.append(export(loaded, even, into / f"{source.name}-even"))
        made.append(export(loaded, uneven, into / f"{source.name}-uneven"))
    return made


def special_tokenizer():
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"extra_special_tokens": ["cat", "moon"]})
    return tokenizer


def qwen_tokenizer():
    """Of the class that version 5 takes for every qwen2 folder, whatever the folder says."""
    return Qwen2Tokenizer(
        vocab={"<|endoftext|>": 0, "Ġ": 1} | {c: 2 + i for i, c in enumerate("abcdehinorst")}, merges=[]
    )


def llama_tokenizer():
    return LlamaTokenizer(
        vocab={"<unk>": 0, "<s>": 1, "</s>": 2, "▁": 3} | {letter: 4 + i for i, letter in enumerate("abcdehinorst")},
        merges=[],
    )


def read(folders, where: Path, packages: Path | None) -> dict[str, np.ndarray]:
    """What a new process finds in the folders, with the packages of a folder before all others."""
    request, out = where / "request.json", where / "found.npz"
    asked = {"folders": [str(folder) for folder in folders], "ids": IDS, "text": SENTENCES[0]}
    request.write_text(json.dumps(asked))
    environment = os.environ | {"PYTHONPATH": str(packages or ""), "HF_MODULES_CACHE": str(where / "modules")}
    program = Path(__file__).with_name("read_folder.py")
    subprocess.run([sys.executable, program, request, out], env=environment, check=True, capture_output=True, text=True)
    return dict(np.load(out))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What both versions find in every export, by version."""
    where = tmp_path_factory.mktemp("compat")
    packages = where / "packages"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
        "--target",
        str(packages),
        *EARLIER,
    ]
    subprocess.run(install, check=True, capture_output=True, text=True)
    folders = []
    for family in FAMILIES:
        folders += exports_of(family, saved(where / family, family), where)
    for name, rope in SCALED.items():
        folders.append(
            derive(
                str(saved(where / name, "llama", rope_parameters=dict(rope))), "permute", where / f"{name}-derived"
            ).folder
        )
    for name in WRAPPED:
        tiny_wrapper(name).save_pretrained(where / name)
        (qwen_tokenizer() if WRAPPERS[name] == "qwen2" else tiny_tokenizer()).save_pretrained(where / name)
        folders += exports_of(WRAPPERS[name], where / name, where)
    folders += exports_of("llama", saved(where / "half", "llama", dtype=torch.bfloat16), where)
    for name, tokenizer in (("starting", starting_tokenizer), ("special", special_tokenizer), ("own", llama_tokenizer)):
        folders.append(
            derive(
                str(saved(where / name, "llama", tokenizer(), vocab_size=64)), "permute", where / f"{name}-derived"
            ).folder
        )
    (where / "starter").mkdir()
    build_tiny(where / "starter")
    folders.append(where / "starter")
    for name in ("earlier", "present"):
        (where / name).mkdir()
    earlier = read(folders, where / "earlier", packages)
    return {"names": [folder.name for folder in folders], 4: earlier, 5: read(folders, where / "present", None)}


def test_both_versions_are_what_they_should_be(found):
    assert str(found[4]["version"]).startswith("4.57.") and str(found[5]["version"]).startswith("5.")
    known = {name.rpartition("-")[0] for name in found["names"] if f"{name}.logits" in found[4]}
    unknown = set(FAMILIES) - set(found[4]["families"].tolist())
    assert unknown <= {"ministral3", "qwen3_5_text"} and set(FAMILIES) - known == unknown
    assert set(WRAPPED) <= known


def test_every_export_has_the_same_logits_ids_and_written_tokens_in_both(found):
    wrong = {key: str(text) for version in (4, 5) for key, text in found[version].items() if key.endswith(".error")}
    for name in found["names"]:
        if f"{name}.logits" not in found[4]:
            continue
        one, other = (found[version][f"{name}.logits"] for version in (4, 5))
        apart = float(np.abs(one - other).max())
        same = all(
            np.array_equal(*(found[version][f"{name}.{what}"] for version in (4, 5))) for what in ("ids", "written")
        )
        if apart > 1e-4 or not same:
            wrong[name] = (apart, same)
    assert wrong == {}


def test_an_export_in_bfloat16_is_bfloat16_in_both(found):
    for version in (4, 5):
        kept = found[version]["half-even.kept"]
        assert str(kept) == ("torch.bfloat16" if version == 5 else "torch.float32")
