"""Finding networks through the front door: once computed, then answered from disk, refused when it cannot be."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from support.tiny_models import save_tiny

from fnet_core import texts
from fnet_core.errors import Cancelled, RequestError
from fnet_core.models import loading as models
from fnet_core.networks import finding
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.storage import artifacts
from fnet_core.texts import Passage

PASSAGES = texts.bundled("find")[:6]


def ask(**changes) -> AtlasRequest:
    return AtlasRequest(**({"model": "tiny", "passages": PASSAGES, "components": 5, "restarts": 3} | changes))


def test_an_atlas_is_computed_once_and_then_read(monkeypatch):
    first = find_atlas(ask())
    assert first.computed and first.path.exists() and len(first.answer) == 5

    def forbidden(*_, **__):
        raise AssertionError("the model was loaded again")

    monkeypatch.setattr(finding.models, "get_loaded", forbidden)
    second = find_atlas(ask())
    assert not second.computed and second.path == first.path
    assert second.answer.summary() == first.answer.summary()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1}, {"components": 4}, {"site": "residual"}, {"scope": "layer"}, {"restarts": 2},
        {"contrast": "exp"}, {"passages": PASSAGES[:5]},
    ],
)  # fmt: skip
def test_everything_that_affects_the_result_is_in_the_key(change):
    assert find_atlas(ask()).path != find_atlas(ask(**change)).path


def test_names_do_not_matter_to_the_key(tmp_path):
    folder = models.resolve("tiny").path
    shutil.copytree(folder, tmp_path / "copy")
    first = find_atlas(ask())
    again = find_atlas(ask(model=str(tmp_path / "copy")))
    assert again.path == first.path and not again.computed


def test_computed_twice_the_bits_are_the_same():
    first = find_atlas(ask())
    first.path.unlink()
    second = find_atlas(ask())
    assert second.computed
    for a, b in zip(first.answer.maps + first.answer.courses, second.answer.maps + second.answer.courses, strict=True):
        assert np.array_equal(a, b)


def test_scope_layer_gives_networks_of_one_layer_each():
    atlas = find_atlas(ask(scope="layer", components=3)).answer
    assert len(atlas) == 3 * atlas.layer_count
    table = atlas.table(2.0)
    assert (table["layers"] <= 1).all()
    assert [atlas.layers_of(k)[0] for k in range(len(atlas))] == sorted([*range(atlas.layer_count)] * 3)


def test_networks_of_experts_and_a_site_that_a_mixture_lacks_refused_before_its_weights_are_read(tmp_path, monkeypatch):
    folder = str(save_tiny(tmp_path / "mixture", "mixtral", max_position_embeddings=2048))
    atlas = find_atlas(ask(model=folder, site="experts", components=3)).answer
    assert atlas.widths_L == (5, 5, 5) and atlas.maps[0].shape == (3, 15)
    monkeypatch.setattr(finding.models, "get_loaded", None)
    with pytest.raises(RequestError, match="choose site mlp_out, residual, heads or experts"):
        find_atlas(ask(model=folder))


@pytest.mark.parametrize("site", ["mlp", "mlp_out", "residual", "heads"])
def test_every_site_gives_an_atlas_of_its_own_widths(site):
    atlas = find_atlas(ask(site=site, components=3)).answer
    assert sum(atlas.widths_L) == atlas.maps[0].shape[1]
    assert all(len(course) == len(offsets) for course, offsets in zip(atlas.courses, atlas.offsets, strict=True))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": "medium"}, "no starter 'medium'"),
        ({"site": "skull"}, "no site 'skull'"),
        ({"scope": "world"}, "no scope 'world'"),
        ({"contrast": "sine"}, "no contrast 'sine'"),
        ({"components": 0}, "0 components is out of range"),
        ({"components": 513}, "513 components is out of range"),
        ({"restarts": 1}, "1 restarts is out of range"),
        ({"components": 400, "restarts": 50}, "400 components times 50 restarts"),
        ({"seed": -1}, "seed -1 is out of range"),
        ({"passages": ()}, "no text"),
        ({"components": 60, "passages": texts.from_text("Three words here.")}, "more than these texts and neurons"),
        ({"components": 200, "scope": "layer"}, "choose scope model"),
    ],
)
def test_requests_that_cannot_be_met(changes, sentence):
    with pytest.raises(RequestError, match=sentence):
        find_atlas(ask(**changes))
    assert artifacts.list_artifacts("atlas") == []


def test_cancelling_leaves_nothing_behind():
    def report(stage, fraction):
        if stage == "separating":
            raise Cancelled

    with pytest.raises(Cancelled):
        find_atlas(ask(), report)
    assert artifacts.list_artifacts("atlas") == []
    assert not [p for p in artifacts.home().iterdir() if p.is_file()]


def test_a_dead_layer_is_named_and_more_text_is_not_asked_for(tmp_path):
    folder = save_tiny(tmp_path / "model", max_position_embeddings=2048)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"].zero_()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RequestError) as refused:
        find_atlas(ask(model=str(folder), scope="layer", passages=PASSAGES))
    assert str(refused.value).startswith("0 of the 40 neurons of layer 1 change over the texts, too few for 5 comp")
    assert "more text" not in str(refused.value)


def test_a_kept_atlas_whose_shares_sum_to_more_than_the_whole_is_made_again(caplog):
    first = find_atlas(ask())
    replace(first.answer, variance_K=first.answer.variance_K + 1).save(first.path)
    again = find_atlas(ask())
    assert again.computed and again.path == first.path and "sum to more than the whole" in caplog.text
    np.testing.assert_array_equal(again.answer.variance_K, first.answer.variance_K)


def test_provisional_atlases_are_those_of_the_first_passages_and_change_nothing():
    plain = find_atlas(ask())
    plain.path.unlink()
    seen = []
    whole = find_atlas(ask(), publish=seen.append)
    for a, b in zip(whole.answer.maps + whole.answer.courses, plain.answer.maps + plain.answer.courses, strict=True):
        assert np.array_equal(a, b)
    (early,) = seen
    assert early.provisional == (2, 6) and whole.answer.provisional is None
    assert artifacts.list_artifacts("atlas") == [whole.path] and "first looks" in whole.answer.seconds
    alone = find_atlas(ask(passages=PASSAGES[:2], restarts=2)).answer
    assert early.key not in (alone.key, whole.answer.key)
    assert early.labels == alone.labels and early.passages == alone.passages and early.halves is None
    for a, b in zip(early.maps + early.courses, alone.maps + alone.courses, strict=True):
        assert np.array_equal(a, b)
    find_atlas(ask(), publish=seen.append)
    assert len(seen) == 1  # nothing is provisional about what the store has


def test_no_provisional_atlas_where_the_first_passages_give_too_few_networks(tmp_path):
    folder = save_tiny(tmp_path / "model", max_position_embeddings=2048)
    short = [Passage(str(i), "it rains", "test") for i in range(4)]
    seen = []
    find_atlas(ask(model=str(folder), passages=(*short, *PASSAGES[:3]), components=30), publish=seen.append)
    assert seen == []


def test_publishing_can_stop_the_work_and_leaves_nothing_behind():
    def stop(atlas):
        raise Cancelled

    with pytest.raises(Cancelled):
        find_atlas(ask(), publish=stop)
    assert artifacts.list_artifacts("atlas") == []
