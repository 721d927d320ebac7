"""The public face: lazy, documented by examples that run, and the same objects and figures as the pages'."""

import doctest
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.atlases import hand_atlas
from support.few import few_passages
from support.fingerprints import hand_fingerprint, mixed, waves
from support.loading import loaded_tiny

import fnet_core as fn
from fnet_core.capability.keeping import Preservation
from fnet_core.capability.lesions import LesionMatrix
from fnet_core.capability.profiles import Profile
from fnet_core.errors import RequestError
from fnet_core.interventions.edits import Edit
from fnet_core.interventions.measuring import Intervention
from fnet_core.lineage.audit import Audit
from fnet_core.lineage.comparison import Comparison
from fnet_core.lineage.independence import Independence
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.networks.recurrence import Recurrence
from fnet_core.plotting import networks
from fnet_core.pruning.measuring import PruneResult
from fnet_core.pruning.plan import PrunePlan
from fnet_core.texts import Passage

ROOT = Path(__file__).parents[1]
TEXT = "It rained all day, and nobody minded the rain."


def test_importing_it_loads_no_library():
    program = (
        "import sys, fnet_core as fn; dir(fn); fn.__version__;"
        "print([name for name in ('torch', 'transformers', 'numpy', 'pandas', 'plotly') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_is_there_and_no_other():
    assert all(hasattr(fn, name) for name in fn.__all__) and set(fn.__all__) <= set(dir(fn))
    with pytest.raises(AttributeError, match="no attribute 'brain'"):
        _ = fn.brain


@pytest.fixture(scope="module")
def one_store(tmp_path_factory) -> Path:
    """The examples share what they compute, as in a person's notebook: each atlas is found once."""
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("name", sorted(set(fn.__all__) - {"Atlas", "__version__"}))
def test_every_function_has_an_example_that_runs(name, one_store, tmp_path, monkeypatch):
    monkeypatch.setenv("FNET_HOME", str(one_store))
    monkeypatch.chdir(tmp_path)
    if name != "passages":
        few_passages(monkeypatch)
    (found,) = doctest.DocTestFinder(recurse=False).find(getattr(fn, name), name, globs={})
    assert found.examples
    assert doctest.DocTestRunner().run(found).failed == 0


METHODS = [
    (Atlas, "plot_map"),
    (Atlas, "plot_layers"),
    (Atlas, "plot_time_course"),
    (Atlas, "plot_networks"),
    (Recurrence, "plot"),
    (Intervention, "plot"),
    (PrunePlan, "plot"),
    (PruneResult, "plot"),
    (Comparison, "plot"),
    (Comparison, "plot_matrix"),
    (Independence, "plot"),
    (Profile, "plot"),
    (LesionMatrix, "plot"),
    (Preservation, "plot"),
    (Audit, "plot"),
    (Audit, "plot_tree"),
]


@pytest.mark.parametrize(("result", "method"), METHODS)
def test_every_figure_of_a_result_has_an_example_that_runs(result, method, one_store, monkeypatch):
    monkeypatch.setenv("FNET_HOME", str(one_store))
    few_passages(monkeypatch)
    (found,) = doctest.DocTestFinder(recurse=False).find(getattr(result, method), method, globs={})
    assert found.examples
    assert doctest.DocTestRunner().run(found).failed == 0


def test_the_page_about_python_lists_every_function_and_every_figure():
    page = (ROOT / "docs" / "api.md").read_text()
    for name in set(fn.__all__) - {"Atlas", "__version__"}:
        assert f"`fn.{name}`" in page and f"::: {getattr(fn, name).__module__}.{name}\n" in page
    for result, method in METHODS:
        section = page.split(f".{result.__name__}\n")[1].split(":::")[0]
        assert method in section, (result.__name__, method)


def test_the_readmes_python_runs_on_the_tiny_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    snippet = (ROOT / "README.md").read_text().split("```python\n")[1].split("```")[0]
    for starter, tiny in (
        ('"smollm2-135m"', '"tiny"'),
        ("fn.inhibit(atlas, 0)", "fn.inhibit(atlas, 0, threshold=2.0)"),
        ('plan_pruning("tiny", 0.2)', 'plan_pruning("tiny", 0.2, protected=(0, 0))'),
    ):
        assert starter in snippet
        snippet = snippet.replace(starter, tiny)
    few_passages(monkeypatch)
    names: dict[str, Any] = {}
    exec(snippet, names)
    assert (tmp_path / "smaller" / "config.json").is_file() and len(names["atlas"]) == 32


def test_a_loaded_and_a_derived_model_say_what_they_are(tmp_path):
    model = fn.load("tiny")
    assert "tiny, ready to run" in model._repr_html_() and f"{model.model.num_parameters():,}" in model._repr_html_()
    made = fn.derive("tiny", "permute", tmp_path / "<copy>")
    assert "&lt;copy&gt;, derived from tiny" in made._repr_html_() and "permute" in made._repr_html_()


def test_an_edit_of_no_network_is_refused():
    for way in (fn.inhibit, fn.amplify):
        with pytest.raises(RequestError, match="No network was named"):
            way(hand_atlas())


def test_a_model_by_name_and_loaded_gives_the_pages_object_from_the_same_file(monkeypatch):
    few_passages(monkeypatch)
    page = find_atlas(AtlasRequest("tiny", fn.passages("networks"), components=3))
    monkeypatch.setattr("fnet_core.networks.finding.compute_atlas", None)
    for model in ("tiny", fn.load("tiny")):
        assert fn.find_atlas(model, components=3).key == page.answer.key


def test_texts_in_every_form(tmp_path):
    file = tmp_path / "rain.txt"
    file.write_text(TEXT)
    assert [p.text for p in fn.passages(file)] == [p.text for p in fn.passages(TEXT)] == [TEXT]
    mixed_kinds = fn.passages([TEXT, Passage("mine", TEXT, "test")])
    assert [p.name for p in mixed_kinds] == ["text 1", "mine"] and fn.passages(mixed_kinds[1]) == mixed_kinds[1:]
    for nothing in ("", [], [TEXT, " "]):
        with pytest.raises(RequestError):
            fn.passages(nothing)


def test_a_string_that_names_a_file_is_not_read_as_the_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("rain.txt", "rain fell", str(tmp_path / "rain")):
        Path(name).write_text(TEXT)
        assert [p.text for p in fn.passages(name)] == [TEXT]
    for missing in ("no-such.txt", "/no/such/file", "my own text.txt"):
        with pytest.raises(RequestError, match="There is no text file"):
            fn.passages(missing)


def test_a_plan_is_carried_out_with_what_it_was_scored_with():
    loaded, own = loaded_tiny(max_position_embeddings=512), [TEXT, TEXT + " It rained again."]
    plan = fn.plan_pruning(loaded, 0.2, own, protected=(0, 0), components=4, seed=7)
    same = {"calibration": own, "components": 4, "seed": 7}
    assert fn.prune(loaded, plan, TEXT, **same).compensation == "networks"
    for name, other in (("calibration", "find"), ("components", 5), ("seed", 0)):
        with pytest.raises(RequestError, match=f"scored with another {name}"):
            fn.prune(loaded, plan, TEXT, **same | {name: other})


def test_a_plan_takes_a_share_and_is_carried_out_with_its_compensation():
    loaded, own = loaded_tiny(max_position_embeddings=512), [TEXT, TEXT + " It rained again."]
    choices = {"method": "random", "protected": (0, 0), "share": "parameters", "compensation": "none"}
    plan = fn.plan_pruning(loaded, 0.1, own, **choices)
    assert plan.request.share == "parameters"
    assert 1 - plan.parameters / plan.anatomy.parameters == pytest.approx(0.1, abs=0.01)
    assert fn.prune(loaded, plan, TEXT, calibration=own).compensation == "none"
    assert fn.prune(loaded, plan, TEXT, calibration=own, compensation="bias").compensation == "bias"


def test_edits_of_another_models_networks_are_refused():
    with pytest.raises(RequestError, match="was found in hand-made"):
        atlas = hand_atlas()
        atlas.recipe["model_digest"] = "1" * 64
        fn.measure(loaded_tiny(), Edit("mlp", ((0, 1),), gain=0.0), TEXT, atlas=atlas)


def test_an_atlas_draws_the_figures_of_the_page_and_says_what_it_is():
    atlas = hand_atlas()
    assert atlas.plot_map(1, 3.0) == networks.network_map(atlas, 1, 3.0)
    assert atlas.plot_layers(-1) == networks.layer_profile(atlas, 2, 3.0)
    assert atlas.plot_time_course(0, 1) == networks.time_course(atlas, 0, 1)
    for wrong in (lambda: atlas.plot_map(3), lambda: atlas.plot_time_course(0, 2)):
        with pytest.raises(IndexError, match=r"There is no (network 3|passage 2); this atlas has 0 to"):
            wrong()
    assert atlas.plot_networks() == networks.parcellation(atlas, 3.0)
    shown = atlas._repr_html_()
    assert "Atlas of hand-made at site mlp" in shown and "abc · def: 50.00% of the variance" in shown


def test_results_draw_and_describe_themselves():
    loaded = loaded_tiny(max_position_embeddings=512)
    measured = fn.measure(loaded, Edit("mlp", ((0, 1), (2, 3)), gain=0.0, name="<b>mine"), TEXT, controls=2)
    assert f"{measured.edited.value:.4g}" in measured._repr_html_() and "&lt;b&gt;mine" in measured._repr_html_()
    assert [trace.name for trace in measured.plot().data if trace.name][-1] == "edited"
    plan = fn.plan_pruning(loaded, 0.2, [TEXT, TEXT + " It rained again."], method="wanda-sp", protected=(0, 0))
    pruned = fn.prune(loaded, plan, TEXT, compensation="none")
    for shown in (plan._repr_html_(), pruned._repr_html_()):
        assert "tiny-llama pruned by wanda-sp, 20% of the neurons" in shown
    assert pruned.plot() == plan.plot()
    assert f"{pruned.baseline.value:.4g}" in pruned.baseline._repr_html_()


def test_on_a_console_results_are_one_line():
    assert repr(hand_atlas()) == "<Atlas: Atlas of hand-made at site mlp>"
    assert repr(hand_fingerprint(waves(10), "base")) == "<Fingerprint: Fingerprint of base>"


def test_a_comparison_draws_and_describes_itself(tmp_path):
    signals = waves(10)
    a, b = hand_fingerprint(signals, "<base>"), hand_fingerprint(mixed(signals, 0.3, 2), "copy", seed=3)
    file = tmp_path / "b.safetensors"
    b.save(file)
    found = fn.compare(a, file)
    assert found.score == fn.compare(a, str(file)).score == fn.compare(a, b).score
    assert "&lt;base&gt; and copy" in found._repr_html_() and f"{found.score:.2f}" in found._repr_html_()
    assert found.plot().data and found.plot_matrix().data
    assert "&lt;base&gt;" in a._repr_html_()
