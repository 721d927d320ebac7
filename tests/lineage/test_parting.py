"""Where two models part: the divergence is that of the definition, on the token that is predicted."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from support.loading import loaded_tiny
from support.tiny_models import starting_tokenizer

from fnet_core.cli import main
from fnet_core.errors import RequestError
from fnet_core.lineage.parting import divergence, parting
from fnet_core.texts import Passage, bundled

PASSAGES = [Passage("one", "the quick brown fox", "test"), Passage("two", "jumps over a dog", "test")]


def test_divergence_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(7), 5), rng.dirichlet(np.ones(7), 5)
    p[0], q[0] = np.eye(7)[0], np.eye(7)[1]
    logs = [torch.log(torch.tensor(each)) for each in (p, q)]
    wanted = [jensenshannon(a, b, base=2) ** 2 for a, b in zip(p, q, strict=True)]
    assert divergence(*logs) == pytest.approx(wanted, abs=1e-9) and divergence(*logs)[0] == pytest.approx(1)
    assert divergence(logs[0], logs[0]) == pytest.approx(0, abs=1e-12)


def test_a_model_does_not_part_from_itself_and_the_furthest_passage_comes_first():
    a, b = loaded_tiny(), loaded_tiny(seed=1)
    assert all(each.mean == pytest.approx(0, abs=1e-9) for each in parting(a, a, PASSAGES))
    found = parting(a, b, PASSAGES)
    assert found[0].mean > found[1].mean > 0 and {each.passage.name for each in found} == {"one", "two"}
    assert np.isnan(found[0].bits_T[0]) and not np.isnan(found[0].bits_T[1:]).any()
    token, bits = found[0].furthest(1)[0]
    assert bits == np.nanmax(found[0].bits_T) and len(token) == 1


def test_the_token_that_is_predicted_is_the_one_that_is_marked():
    a = loaded_tiny(tokenizer=starting_tokenizer())
    head = deepcopy(a.model)
    b = replace(a, model=head)
    place = 5

    def change(module, inputs, output):
        output[0, place] = -output[0, place]
        return output

    head.get_output_embeddings().register_forward_hook(change)
    (found,) = parting(a, b, PASSAGES[:1])
    # a start token stands before the text, so the logits at place 5 are of the text's token 5
    assert not np.isnan(found.bits_T[0]) and np.flatnonzero(found.bits_T > 1e-6).tolist() == [5]


def test_other_tokens_are_refused():
    with pytest.raises(RequestError, match="as other tokens"):
        parting(loaded_tiny(), loaded_tiny(tokenizer=starting_tokenizer()), PASSAGES)


def test_the_command_line_names_networks_layers_and_passages(capsys, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(passage.text[:300] for passage in bundled("find")[:4]))
    small = ["--components", "5", "--threshold", "1.5", "--find", str(text), "--score", str(text)]
    assert main.main(["derive", "tiny", "--how", "noise:0.4", "--out", str(tmp_path / "noisy")]) == 0
    saved = str(tmp_path / "f.safetensors")
    assert main.main(["fingerprint", "tiny", *small, "--out", saved]) == 0
    capsys.readouterr()
    assert main.main(["changes", "tiny", str(tmp_path / "noisy"), *small, "--show", "1"]) == 0
    out = capsys.readouterr().out
    assert "networks of tiny, noisy has lost" in out and "moved most" in out
    assert "bits a token (Jensen-Shannon" in out and out.count(" bits  ") == 1
    assert main.main(["changes", saved, str(tmp_path / "noisy"), *small]) == 0
    assert "takes both models" in capsys.readouterr().out
