"""Fingerprints of tiny models: what they hold, that they survive changes that leave the function alone, and files."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from scipy.stats import spearmanr
from support.fingerprints import hand_fingerprint, waves
from support.loading import loaded_tiny
from support.tiny_models import MIXTURES, save_tiny, tiny_model

from fnet_core import texts
from fnet_core.activations.reading import read_subjects
from fnet_core.derivation import symmetries
from fnet_core.errors import Cancelled, RequestError
from fnet_core.evaluation.perplexity import measure
from fnet_core.lineage import fingerprint as fingerprint_module
from fnet_core.lineage import taking
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.request import STAGES
from fnet_core.lineage.taking import (
    FingerprintRequest,
    bits_per_byte,
    compressor_bits_per_byte,
    find_fingerprint,
    fingerprint,
    key_weights,
    network_signals,
)
from fnet_core.models import loading as models
from fnet_core.models.folder import published_name
from fnet_core.storage import artifacts
from fnet_core.texts import Passage

FIND, SCORE = texts.bundled("find")[:6], texts.bundled("score")[:5]
ASK = {"find": FIND, "score": SCORE, "components": 8, "threshold": 1.8}
LONG = {"max_position_embeddings": 2048}


def take(loaded, **changes) -> Fingerprint:
    return fingerprint(loaded, **ASK | changes)


@pytest.fixture(scope="module")
def llama():
    return loaded_tiny(**LONG)


@pytest.fixture(scope="module")
def taken(llama, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FNET_HOME", str(tmp_path_factory.mktemp("home")))
        torch.set_num_threads(1)
        return take(llama)


def permuted(model, seed: int):
    """The same function with the residual stream's dimensions in another order."""
    changed = copy.deepcopy(model)
    order = torch.randperm(model.config.hidden_size, generator=torch.Generator().manual_seed(seed))
    body = changed.model
    for module in (body.embed_tokens, changed.lm_head):
        module.weight.data = module.weight.data[:, order]
    body.norm.weight.data = body.norm.weight.data[order]
    for layer in body.layers:
        readers = (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj)
        for module in (*readers, layer.mlp.gate_proj, layer.mlp.up_proj):
            module.weight.data = module.weight.data[:, order]
        for module in (layer.self_attn.o_proj, layer.mlp.down_proj):
            module.weight.data = module.weight.data[order]
        for norm in (layer.input_layernorm, layer.post_attention_layernorm):
            norm.weight.data = norm.weight.data[order]
    return changed


def test_a_permuted_residual_stream_changes_nothing(llama):
    changed = permuted(llama.model, 3)
    ids = torch.arange(4, 50)[None]
    torch.testing.assert_close(changed(ids).logits, llama.model(ids).logits, atol=1e-4, rtol=0)
    assert not torch.equal(changed.lm_head.weight, llama.model.lm_head.weight)
    # as many networks as 72 random neurons determine
    before = take(llama, components=4)
    after = take(replace(llama, model=changed, name="permuted", digest="1" * 64), components=4)
    found = compare(before, after)
    assert found.score > 0.95
    assert found.layers.middle == pytest.approx(1, abs=1e-3) and found.curves.mean == pytest.approx(1)
    assert compare(before, take(replace(llama, model=tiny_model("llama", 9, **LONG)), components=4)).score < 0.8


@pytest.mark.parametrize("name", ["permute_neurons", "rescale_neurons"])
def test_neurons_in_another_order_or_scale_change_nothing(llama, name):
    changed = copy.deepcopy(llama.model)
    generator = torch.Generator().manual_seed(5)
    symmetries.permute_neurons(changed, generator) if name == "permute_neurons" else symmetries.rescale_neurons(
        changed, 3.0, generator
    )
    assert not torch.equal(changed.model.layers[1].mlp.up_proj.weight, llama.model.model.layers[1].mlp.up_proj.weight)
    before = take(llama, components=4)
    after = take(replace(llama, model=changed, name="changed", digest="1" * 64), components=4)
    assert compare(before, after).score > 0.95


def test_against_itself_and_against_other_weights(llama, taken):
    assert compare(taken, taken).score == pytest.approx(1)
    other = take(replace(llama, model=tiny_model("llama", 9, **LONG)))
    assert compare(taken, other).score < 0.8


def test_another_architecture_and_tokenizer_share_the_grid(taken):
    other = take(loaded_tiny("gpt2", num_hidden_layers=5, **LONG))
    assert [len(g) for g in other.grids] == [len(g) for g in taken.grids] == [-(-len(p.text) // 4) for p in SCORE]
    found = compare(taken, other)
    assert found.layers.heatmap_LJ.shape == (3, 5) and 0 < found.score < 0.8


@pytest.mark.parametrize(("family", "site"), [(family, "residual") for family in MIXTURES] + [("olmoe", "experts")])
def test_mixtures_of_experts(family, site):
    loaded = loaded_tiny(family, **LONG)
    found = take(loaded, site=site)
    assert found.key_counts_KL.shape == (8, 3) and len(found.signals) == 5
    layer = loaded.model.model.layers[2].self_attn
    spreads = [float(getattr(layer, f"{name}_proj").weight.double().std(correction=0)) for name in "qkvo"]
    np.testing.assert_allclose(found.curves_4L[:, 2], spreads, rtol=1e-5)
    assert compare(found, take(loaded, site=site)).score > 0.999


@pytest.mark.parametrize(
    ("family", "site"),
    [("qwen3_5_text", "mlp"), ("qwen3_5_text", "residual"), ("bamba", "mlp_out"), ("mamba", "residual")],
)
def test_models_without_attention_in_every_layer_have_no_weight_curves(family, site, tmp_path):
    loaded = loaded_tiny(family, **LONG | ({"seq_length": 4096} if family == "mamba" else {}))
    found = take(loaded, site=site)
    assert found.key_counts_KL.shape == (8, 3) and found.curves_4L.shape == (4, 3) and not found.curves_4L.any()
    found.save(tmp_path / "kept.fnf")
    compared = compare(found, Fingerprint.load(tmp_path / "kept.fnf"))
    assert compared.score > 0.999 and compared.curves.mean is None


def test_signals_by_hand(llama, taken):
    """Once more from the atlas's maps, one neuron at a time."""
    atlas = taking.compute_atlas(
        llama, FingerprintRequest("x", **ASK).atlas_request(), {"site": "residual", "scope": "model"}
    )
    subject = next(iter(read_subjects(llama, SCORE[2:3], "residual")))
    activity = subject.activations_TN.double().numpy()
    z = (activity - activity.mean(axis=0)) / activity.std(axis=0)
    for k in (0, 5):
        weights = atlas.maps[0][k].astype(float)
        key = np.flatnonzero(np.abs(weights) > 1.8)
        assert len(key) == taken.key_counts_KL[k].sum() > 0
        series = sum(weights[n] * z[:, n] for n in key)
        np.testing.assert_allclose(taken.signals[2][k], (series - series.mean()) / series.std(), atol=4e-3)


def test_the_published_signal_is_the_mean_of_the_mask():
    maps = np.array([[5.0, -4.0, 0.5, 2.0], [0.1, 0.2, 0.3, -0.4]], dtype=np.float32)
    mean, weighted = (key_weights(maps, 1.5, signal) for signal in ("mean", "weighted"))
    torch.testing.assert_close(mean, torch.tensor([[1 / 3, 1 / 3, 0, 1 / 3], [0, 0, 0, 0]]))
    torch.testing.assert_close(weighted, torch.tensor([[5 / 11, -4 / 11, 0, 2 / 11], [0, 0, 0, 0]]))
    activations = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)) + 3
    expected = activations[:, [0, 1, 3]].mean(dim=1).double().numpy()
    signals = network_signals(activations, mean)
    np.testing.assert_allclose(signals[0], (expected - expected.mean()) / expected.std(), atol=2e-3)
    assert signals.dtype == np.float16 and not signals[1].any()


def test_signals_that_do_not_vary_become_zeros():
    activations = torch.full((9, 4), 1e4)
    activations[:, 3] += 1e-3 * torch.randn(9, generator=torch.Generator().manual_seed(1))
    assert not network_signals(activations, torch.full((1, 4), 0.25)).any()


def test_twice_the_same_bits(llama, taken):
    again = take(llama)
    unclocked = {"seconds": {}, "peak_memory_bytes": 0}
    assert replace(again, **unclocked).content_digest() == replace(taken, **unclocked).content_digest()


def test_sites_and_published_signal(llama):
    for changes in ({"site": "mlp"}, {"signal": "mean"}, {"site": "heads", "components": 5}):
        found = take(llama, **changes)
        assert found.grams_LU.shape[0] == 3 and found.signals[0].shape[0] == found.protocol["components"]


def test_how_well_it_reads(llama):
    expected = measure(llama, [replace(p, text=p.text[:400]) for p in SCORE[:4]], definition="byte")
    *_, result = expected
    assert bits_per_byte(llama, SCORE) == pytest.approx(np.log2(result.value))
    assert not take(llama).reads_probes
    # 0.85 of what bzip2 needs, 3.2 in a fingerprint made by hand
    reads = [hand_fingerprint(waves(9), bits_per_byte=bits).reads_probes for bits in (3.03, 3.05, 3.1, None)]
    assert reads == [True, False, False, True]
    # a repeated sentence compresses well, random letters badly
    dull = compressor_bits_per_byte([Passage("", "The same again. " * 200, "")])
    letters = "".join(np.random.default_rng(0).choice(list("abcdefghijklmnop"), 4000))
    assert dull < 0.3 and 4 < compressor_bits_per_byte([Passage("", letters, "")]) < 4.5


def test_a_file_holds_it_all_and_is_small(taken, tmp_path):
    path = tmp_path / "f.safetensors"
    taken.save(path)
    read = Fingerprint.load(path)
    assert read.content_digest() == taken.content_digest() and read.summary() == taken.summary()
    assert path.stat().st_size < 1_000_000
    assert compare(taken, read).score == pytest.approx(compare(taken, taken).score, abs=1e-6)


def test_a_file_cut_short(tmp_path):
    path = tmp_path / "f.safetensors"
    hand_fingerprint(waves(9)).save(path)
    content = path.read_bytes()
    for size in (0, 5, 400, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(RequestError):
            Fingerprint.load(path)


def tampered(path, change):
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    arrays = load_file(path)
    change(arrays, metadata)
    save_file(arrays, path, metadata)


def _other_name(arrays, metadata):
    metadata["fnet"] = metadata["fnet"].replace("honest", "forged")


def _other_value(arrays, metadata):
    arrays["signal.1"][2, 3] += 0.25


def _lost_array(arrays, metadata):
    del arrays["grid.2"]


def _lost_digest(arrays, metadata):
    metadata["fnet"] = metadata["fnet"].replace('"content":', '"contents":')


@pytest.mark.parametrize("change", [_other_name, _other_value, _lost_array, _lost_digest])
def test_a_file_tampered_with(tmp_path, change):
    path = tmp_path / "f.safetensors"
    hand_fingerprint(waves(9), "honest").save(path)
    tampered(path, lambda arrays, metadata: None)
    assert Fingerprint.load(path).model.name == "honest"
    tampered(path, change)
    with pytest.raises(RequestError, match="changed after it was made"):
        Fingerprint.load(path)


def _part(*place, value):
    """A change of the fingerprint's parts at one place in the header, or of one array."""

    def change(arrays, header):
        inside = header
        for step in place[:-1]:
            inside = inside[step]
        inside[place[-1]] = value

    return change


def _array(name, of):
    def change(arrays, header):
        arrays[name] = of(arrays[name])

    return change


CARD = {
    "name": 5,
    "digest": None,
    "family": ["llama"],
    "layers": "4",
    "width": "<b>24</b>",
    "parameters": 1.5,
    "dtype": 1,
}
WRONG = {
    **{f"card {name}": _part("model", name, value=value) for name, value in CARD.items()},
    "card true layers": _part("model", "layers", value=True),
    "another digest": _part("model", "digest", value="other"),
    "layers": _part("model", "layers", value=5),
    "step 0": _part("recipe", "protocol", "step", value=0),
    "step text": _part("recipe", "protocol", "step", value="4"),
    "threshold": _part("recipe", "protocol", "threshold", value="3.6"),
    "huge threshold": _part("recipe", "protocol", "threshold", value=10**400),
    "site": _part("recipe", "protocol", "site", value=["residual"]),
    "few components": _part("recipe", "protocol", "components", value=8),
    "passage count": _part("recipe", "protocol", "passages", value=[24, 4]),
    "passage digest": _part("recipe", "protocol", "score", value="0" * 64),
    "other passage": _part("passages", 2, 1, value="other text & <more>. " * 8),
    "passage number": _part("passages", 0, 0, value=3),
    "passage missing": _part("passages", 0, value=["p0"]),
    "seed": _part("recipe", "seed", value="0; rm"),
    "texts": _part("recipe", "texts", value="both"),
    "versions": _part("recipe", "versions", value={"torch": 2}),
    "label": _part("labels", 1, value=7),
    "lone surrogate": _part("labels", 1, value="\ud800"),
    "surrogate deep inside": _part("recipe", "protocol", "contrast", value="\udcff"),
    "bits text": _part("bits_per_byte", value="x"),
    "bits true": _part("bits_per_byte", value=True),
    "compressor": _part("compressor_bits_per_byte", value=None),
    "seconds": _part("seconds", value={"scoring": "1"}),
    "seconds list": _part("seconds", value=[1.5]),
    "memory": _part("peak_memory_bytes", value=-1),
    "no recipe": _part("recipe", value=None),
    "float grid": _array("grid.0", lambda grid: grid.astype(np.float32)),
    "grid past the end": _array("grid.1", lambda grid: grid + 1000),
    "float counts": _array("key_counts", lambda counts: np.full(counts.shape, np.nan)),
    "negative counts": _array("key_counts", lambda counts: counts - 100),
    "whole signal": _array("signal.0", lambda signal: signal.astype(np.int32)),
    "infinite signal": _array("signal.3", lambda signal: signal * np.float16(np.inf)),
    "short signal": _array("signal.0", lambda signal: signal[:-1]),
    "boolean variance": _array("variance", lambda values: values > 0),
    "flat curves": _array("curves", lambda curves: curves[:3]),
    "flat grams": _array("grams", lambda grams: grams[0]),
}


def self_consistent(path, change) -> None:
    """Save a fingerprint with changed parts whose digest fits them."""
    arrays, header = hand_fingerprint(waves(9), "honest")._parts()
    arrays, header = dict(arrays), json.loads(json.dumps(header))
    change(arrays, header)
    header["content"] = fingerprint_module._content_digest(arrays, header)
    artifacts.save_artifact(path, "fingerprint", arrays, header)


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_fits_its_digest_and_nothing_else(tmp_path, name):
    path = tmp_path / "f.safetensors"
    self_consistent(path, lambda arrays, header: None)
    assert Fingerprint.load(path).content_digest() == hand_fingerprint(waves(9), "honest").content_digest()
    self_consistent(path, WRONG[name])
    with pytest.raises(RequestError, match="is no whole fingerprint"):
        Fingerprint.load(path)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "[" * 3000 + "]" * 3000])
def test_a_header_that_is_no_strict_json(tmp_path, value):
    path = tmp_path / "f.safetensors"
    hand_fingerprint(waves(9), "honest").save(path)

    def change(arrays, metadata):
        metadata["fnet"] = metadata["fnet"].replace('"bits_per_byte":1.2', f'"bits_per_byte":{value}')

    tampered(path, change)
    with pytest.raises(RequestError):
        Fingerprint.load(path)


def test_another_kind_of_file_and_none(tmp_path):
    with pytest.raises(RequestError, match="no file"):
        Fingerprint.load(tmp_path / "none.safetensors")
    artifacts.save_artifact(tmp_path / "a.safetensors", "atlas", {}, {})
    with pytest.raises(RequestError, match="holds 'atlas'"):
        Fingerprint.load(tmp_path / "a.safetensors")


def test_taken_once_and_then_read(tmp_path, monkeypatch):
    folder = save_tiny(tmp_path / "model", **LONG)
    monkeypatch.setenv("FNET_ROOTS", str(tmp_path))
    request = FingerprintRequest(str(folder), **ASK)
    seen = []
    first = find_fingerprint(request, lambda stage, fraction: seen.append(stage))
    assert first.computed and set(seen) <= {*STAGES, "checking"} and "scoring" in seen
    assert len(artifacts.list_artifacts("atlas")) == 1

    def forbidden(*_, **__):
        raise AssertionError("the model was loaded again")

    monkeypatch.setattr(taking.models, "get_loaded", forbidden)
    second = find_fingerprint(request)
    assert not second.computed and second.fingerprint.content_digest() == first.fingerprint.content_digest()


def test_a_damaged_file_of_the_store_is_made_again(tmp_path, monkeypatch):
    folder = save_tiny(tmp_path / "model", **LONG)
    monkeypatch.setenv("FNET_ROOTS", str(tmp_path))
    request = FingerprintRequest(str(folder), **ASK)
    first = find_fingerprint(request)
    (atlas,) = artifacts.list_artifacts("atlas")
    for path in (first.path, atlas):
        path.write_bytes(path.read_bytes()[:-7])
    again = find_fingerprint(request)
    assert again.computed and again.path == first.path
    unclocked = {"seconds": {}, "peak_memory_bytes": 0}
    assert (
        replace(Fingerprint.load(first.path), **unclocked).content_digest()
        == replace(first.fingerprint, **unclocked).content_digest()
    )
    assert not find_fingerprint(request).computed


def test_a_folder_is_published_by_its_own_name_and_answered_by_the_name_asked_for(tmp_path, monkeypatch):
    folder = save_tiny(tmp_path / "secret place" / "model", **LONG)
    monkeypatch.setenv("FNET_ROOTS", str(tmp_path))
    first = find_fingerprint(FingerprintRequest(str(folder), **ASK))
    assert (first.fingerprint.model.name, first.fingerprint.recipe["model"]) == ("model", "model")
    assert b"secret place" not in first.path.read_bytes()
    renamed = folder.rename(folder.parent / "renamed")
    second = find_fingerprint(FingerprintRequest(str(renamed), **ASK))
    assert not second.computed and second.path == first.path
    assert (second.fingerprint.model.name, second.fingerprint.recipe["model"]) == ("renamed", "renamed")
    assert second.fingerprint.model.digest == first.fingerprint.model.digest
    loaded = models.load(str(renamed))
    live = take(loaded)
    assert (live.model.name, live.recipe["model"]) == ("renamed", "renamed")


def test_published_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "mine").mkdir(parents=True)
    for name in (str(tmp_path / "models" / "mine"), "models/mine", "./models/mine/", "models/../models/mine"):
        assert published_name(name, tmp_path / "models" / "mine") == "mine"
    assert published_name("/home/me/small.gguf", tmp_path / "models" / "small-0123") == "small.gguf"
    for name in ("owner/model", "smollm2-135m"):
        assert published_name(name, tmp_path / "models" / "mine") == name


def test_the_recipe_names_the_device_that_the_model_is_on(llama, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(taking, "compute_atlas", lambda *_: None)
    monkeypatch.setattr(taking, "compute_fingerprint", lambda *arguments: arguments[3])
    assert take(llama)["device"] == "cpu"


def test_a_model_loaded_elsewhere_than_expected_is_kept_where_it_ran(monkeypatch):
    """A machine that says it has an accelerator and loads on the CPU all the same."""
    first = find_fingerprint(FingerprintRequest("tiny", **ASK))
    assert first.computed and first.fingerprint.recipe["device"] == "cpu"
    loaded = replace(loaded_tiny(**LONG), digest=first.fingerprint.model.digest)
    monkeypatch.setattr(models, "get_loaded", lambda *_, **__: loaded)
    monkeypatch.setattr(taking, "expected_device", lambda: "cuda")
    second = find_fingerprint(FingerprintRequest("tiny", **ASK))
    assert not second.computed and second.path == first.path


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"components": 7}, {"site": "mlp"}, {"threshold": 2.0}, {"score": SCORE[:4]}, {"find": FIND[:5]},
     {"signal": "mean"}],
)  # fmt: skip
def test_everything_that_affects_the_result_is_in_the_key(change):
    def key(request):
        return taking.FINGERPRINTS.key(request.recipe("m", "d", "cpu", "float32"))

    assert key(FingerprintRequest("m", **ASK)) != key(FingerprintRequest("m", **ASK | change))
    protocols = [FingerprintRequest("m", **ASK | extra).protocol() for extra in ({}, change)]
    assert (protocols[0] == protocols[1]) == (change == {"seed": 1})


def test_cancelling_leaves_no_fingerprint():
    def report(stage, fraction):
        if stage == "scoring":
            raise Cancelled

    with pytest.raises(Cancelled):
        find_fingerprint(FingerprintRequest("tiny", **ASK), report)
    assert artifacts.list_artifacts("fingerprint") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threshold": -1.0}, "threshold -1.0 is out of range"),
        ({"threshold": float("nan")}, "threshold nan"),
        ({"site": "skull"}, "no site 'skull'"),
        ({"components": 0}, "0 components"),
        ({"seed": -3}, "seed -3"),
        ({"signal": "loud"}, "no signal 'loud'"),
    ],
)
def test_requests_that_cannot_be_met(change, words):
    with pytest.raises(RequestError, match=words):
        FingerprintRequest("tiny", **ASK | change)


def test_float16_costs_no_accuracy():
    """Rank correlations of stored signals against those of the float64 originals."""
    rng = np.random.default_rng(3)
    activations = rng.normal(size=(230, 40)) * 10 ** rng.uniform(-2, 3, 40)
    weights = rng.normal(size=(12, 40))
    stored = network_signals(torch.from_numpy(activations).float(), torch.from_numpy(weights).float())
    exact = spearmanr(activations @ weights.T).statistic
    np.testing.assert_allclose(spearmanr(stored.T.astype(float)).statistic, exact, atol=1e-3)
