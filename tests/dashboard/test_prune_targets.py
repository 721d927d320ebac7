"""Targets, recovery, whole layers and forms of export on the Prune page are what the core does."""

import pytest
from support.pages import said
from support.prune_page import BARE, FREE, expected, metrics, press, prune_page, request, run, scored, settled

from dashboard import words
from fnet_core import texts
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.models.loading import get_loaded
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.export import read_recipe
from fnet_core.pruning.masking import prepare
from fnet_core.pruning.measuring import measure_pruning
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.reaching import reach
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.target import read_target
from fnet_core.storage.place import home

YARDSTICK = Yardstick(texts.bundled("score")[:2])


def opened(at, view: str):
    at.session_state["prune_view"] = view
    return run(at)


def test_a_target_sets_the_ratio_and_the_page_says_which():
    loaded = get_loaded("tiny")
    written = f"{round(0.9 * anatomy(loaded).parameters)}params"
    at = prune_page(f"{FREE},share:target,target:{written}")
    assert not at.slider.values or all(slider.key != "prune_percent" for slider in at.slider)
    assert press(at, "find_ratio").state == "done"
    template = PlanRequest("wanda-sp", 0.0, protected=(0, 0), compensation="none")
    found = reach(loaded, read_target(written), template, request(), YARDSTICK)
    assert found.sentence in said(at) and f"target:{written}" in at.query_params["prune"]
    measured = measure_pruning(loaded, prepare(loaded, found.plan, "none", request()), YARDSTICK)
    assert metrics(at)["Pruned"] == words.perplexity(measured.pruned.value)
    assert metrics(at)["MLP neurons"] == f"{found.plan.summary()['neurons']['after']:,}"
    at.text_input(key="prune_target").set_value("9params")
    run(at)
    assert press(at, "find_ratio").state == "failed"
    assert "'9params' cannot be met" in at.error[0].value and "Pruned" not in metrics(at)
    at.text_input(key="prune_target").set_value("soon")
    run(at)
    assert "'soon' is no target" in at.error[0].value and at.button(key="find_ratio").disabled


def test_the_size_on_the_page_is_the_one_that_the_target_was_met_with():
    written = f"{round(0.9 * anatomy(get_loaded('tiny')).parameters)}params"
    at = prune_page(f"{BARE},compensation:bias,share:target,target:{written}")
    found = press(at, "find_ratio").result.value
    assert metrics(at)["Parameters"] == words.parameters(int(found.value)) and found.value > found.plan.parameters


def test_a_plain_form_reaches_the_target_too_and_the_command_line_says_all_of_it():
    sizes = anatomy(get_loaded("tiny"))
    written = f"{sizes.parameters - 5 * sizes.neuron_parameters_L[1]}params"
    at = prune_page(f"method:wanda-sp,first:1,last:0,compensation:none,share:target,target:{written}")
    assert press(at, "find_ratio").state == "done"
    opened(at, "Save and export")
    at.selectbox(key="prune_export_form").select("plain")
    at.text_input(key="prune_folder").set_value("tiny-target")
    job = press(at, "prune_export")
    assert job.state == "done", job.error
    summary = read_recipe(home() / "models" / "tiny-target")["summary"]
    assert summary["parameters"]["after"] <= sizes.parameters - 5 * sizes.neuron_parameters_L[1]
    (line,) = [code.value for code in at.code if code.value.startswith("python")]
    assert f"--target {written}" in line and "--form plain --out=tiny-target" in line and "--ratio" not in line


def test_a_wrong_target_in_the_address_is_a_sentence():
    at = prune_page("share:target,target:soon")
    assert "'soon' is no target" in at.error[0].value


def test_a_recovery_shows_both_curves_and_saves_what_came_of_it():
    at = opened(scored(prune_page(f"{FREE},seed:3")), "Recovery")
    at.number_input(key="prune_recover_steps").set_value(4)
    at.text_input(key="prune_recover_name").set_value("tiny-recovered")
    at.toggle(key="prune_recover_control").set_value(True)
    job = press(at, "prune_recover")
    assert job.state == "done", job.error
    found = job.result.value
    _, measured = expected()
    assert found.cut.model is None is found.control.model
    assert found.cut.before.value == pytest.approx(measured.pruned.value, rel=1e-5)
    after = words.perplexity(found.cut.after.value)
    assert f"from {words.perplexity(found.cut.before.value)} to **{after}** in 4 steps" in said(at)
    assert f"**{words.perplexity(found.control.after.value)}** in 4" in said(at)
    recipe = read_recipe(home() / "models" / "tiny-recovered")
    assert recipe["recovery"]["after"]["value"] == found.cut.after.value and recipe["recovery"]["seed"] == 3
    assert at.code[0].value == "tiny-recovered"
    assert "--recover 4 --recover-control" in at.code[-1].value and at.code[-1].value.endswith("--out=tiny-recovered")


def test_a_recovery_text_that_is_empty_is_a_sentence():
    at = opened(scored(prune_page()), "Recovery")
    at.selectbox(key="prune_recover_source").select("Pasted text")
    run(at)
    at.button(key="prune_recover").click()
    run(at)
    assert "The text 'pasted' is empty" in at.error[0].value


def test_whole_layers_are_a_method_like_the_others():
    at = scored(prune_page("method:layer-random,percent:50,first:0,last:0"))
    assert [slider.label for slider in at.slider if slider.key == "prune_percent"] == ["Remove, of all layers"]
    asked = PlanRequest("layer-random", 0.5, protected=(0, 0))
    plan = plan_for(get_loaded("tiny"), asked, request())
    measured = measure_pruning(get_loaded("tiny"), prepare(get_loaded("tiny"), plan, "none", request()), YARDSTICK)
    assert len(plan.dropped) == 1 and metrics(at)["Pruned"] == words.perplexity(measured.pruned.value)
    opened(at, "Keep and drop")
    assert "MLP neurons that stay" in "".join(chart.proto.spec for chart in at.get("plotly_chart"))


def test_the_plain_form_is_exported_without_code():
    at = opened(scored(prune_page("method:wanda-sp,first:1,last:0,compensation:bias")), "Save and export")
    at.selectbox(key="prune_export_form").select("plain")
    at.text_input(key="prune_folder").set_value("tiny-plain")
    job = press(at, "prune_export")
    assert job.state == "done", job.error
    folder = home() / "models" / "tiny-plain"
    assert not (folder / "modeling_fnet.py").exists() and "after" in read_recipe(folder)["perplexity"]
    settled(at)
    at.text_input(key="prune_folder").set_value("tiny-asked")
    at.selectbox(key="prune_export_form").select("auto")
    assert press(at, "prune_export").state == "done"
    assert (home() / "models" / "tiny-asked" / "modeling_fnet.py").exists()
