"""The Audit page: what it shows is what the core finds, a click opens the pair, a failure is a row."""

import json

import pytest
from support.fingerprints import hand_reference
from support.kin import member
from support.pages import page, said
from support.pressing import press_for_job

from dashboard import fingerprints
from dashboard.audit import results
from fnet_core.jobs import manager
from fnet_core.lineage import audit as auditing
from fnet_core.lineage.audit import audit
from fnet_core.lineage.fingerprint import KIND
from fnet_core.lineage.subjects import Taken, subject_of
from fnet_core.storage import artifacts

SIDES = [member("ant", 0), member("bee", 0), member("ant", 1), member("bee", 1, kept=(0, 1, 3))]


@pytest.fixture
def references(monkeypatch) -> list[str]:
    monkeypatch.setattr(auditing, "load_reference", lambda: hand_reference(SIDES[0].protocol_digest))
    for one in SIDES:
        one.save(artifacts.artifact_path(KIND, one.key))
    return [fingerprints.saved(one.key) for one in SIDES]


def expected():
    return audit(Taken(tuple(map(subject_of, SIDES)), ()))


def audited(references: list[str]):
    at = page("audit")
    at.multiselect(key="audit_saved").set_value(references).run()
    job = press_for_job(at, "audit_run")
    assert job.state == "done", job.error
    at.run()
    assert not at.exception and "job" not in at.query_params
    return at


def test_the_first_visit_says_what_to_do():
    at = page("audit")
    assert at.button(key="audit_run").disabled and "Choose models or fingerprint files and press" in at.info[0].value
    assert "Choose two models or fingerprints, or more." in said(at)
    at.multiselect(key="audit_models").set_value(["smollm2-135m", "gemma3-270m"]).run()
    assert "Accept the licence of gemma3-270m first." in said(at) and at.button(key="audit_run").disabled
    at.checkbox(key="audit_accept").check().run()
    assert not at.button(key="audit_run").disabled and "2 models, 1 pair" in said(at)


def test_the_page_says_which_engine_computes(monkeypatch):
    monkeypatch.setenv("FNET_ENGINE", "tcp://10.0.0.5:8786")
    assert "Models are fingerprinted and compared by the engine at tcp://10.0.0.5:8786." in said(page("audit"))
    monkeypatch.setenv("FNET_ENGINE", "somewhere")
    assert "'somewhere' names no engine" in said(page("audit"))


def test_an_engine_that_does_not_answer_is_a_sentence(references, monkeypatch):
    monkeypatch.setenv("FNET_ENGINE", "tcp://127.0.0.1:9")
    at = page("audit")
    at.multiselect(key="audit_saved").set_value(references).run()
    job = press_for_job(at, "audit_run")
    assert job.state == "failed" and "The engine at tcp://127.0.0.1:9 does not answer" in job.error


def test_the_page_shows_the_numbers_of_the_core_and_stands_in_the_address(references):
    at = audited(references)
    found = expected()
    metrics = {metric.label: metric.value for metric in at.metric}
    assert metrics == {"Models": "4", "Pairs": "6", "Families": "2", "Related pairs": "2"}
    assert all(sentence in said(at) for sentence in found.headlines())
    figure = json.loads(at.get("plotly_chart")[0].proto.spec)
    assert figure["layout"]["yaxis"]["ticktext"] == [found.labels[at] for at in found.order]
    again = page("audit", audit=at.query_params["audit"])
    assert {metric.label: metric.value for metric in again.metric} == metrics
    again.session_state["audit_view"] = "Pairs"
    again.run()
    table = again.dataframe(key="audit_table").value
    assert table["score"].tolist() == pytest.approx([pair.score for pair in found.ranked])
    assert table["holm_p"].tolist() == pytest.approx([pair.holm_p for pair in found.ranked])


def test_a_click_on_a_cell_opens_the_pair(references):
    at = audited(references)
    at.session_state[results.MATRIX] = {"selection": {"points": [{"customdata": [0, 2, "words"]}]}}
    at.session_state[results._OPEN] = (0, 2)
    at.run()
    assert not at.exception
    chosen = at.session_state["selection"]
    assert chosen.compared == fingerprints.pair(references[0], references[2])
    assert "ant-0 (ant-0) compared with ant-1 (ant-1)" in said(at)


def test_every_tab_draws(references):
    at = audited(references)
    seen = {
        "Families": lambda: (
            "bee-1" in at.get("plotly_chart")[0].proto.spec
            and all(sentence in said(at) for sentence in expected().sentences())
        ),
        "Pairs": lambda: len(at.dataframe[0].value) == 6,
        "Models": lambda: at.dataframe[0].value["family"].tolist() == [1, 2, 1, 2],
        "Save": lambda: "python -m fnet_core audit ant-0 bee-0 ant-1 bee-1 --html audit.html" in at.code[0].value,
    }
    for view, shown in seen.items():
        at.session_state["audit_view"] = view
        at.run()
        assert not at.exception and shown(), view


def test_one_that_fails_is_a_row_and_the_rest_is_shown(references):
    at = page("audit")
    at.multiselect(key="audit_saved").set_value(references).run()
    artifacts.artifact_path(KIND, SIDES[1].key).write_bytes(b"broken")
    job = press_for_job(at, "audit_run")
    assert job.state == "done", job.error
    at.run()
    assert "could not be read, and the others were compared without it" in "".join(e.value for e in at.error)
    assert {metric.label: metric.value for metric in at.metric}["Models"] == "3"


def test_uploaded_files_are_audited(tmp_path, references):
    contents = []
    for one in (SIDES[0], SIDES[2]):
        one.save(tmp_path / "f.safetensors")
        contents.append((f"{one.model.name}.safetensors", (tmp_path / "f.safetensors").read_bytes()))
    at = page("audit")
    at.file_uploader(key="audit_upload").upload(*contents[0])
    at.file_uploader(key="audit_upload").upload(*contents[1])
    at.run()
    job = press_for_job(at, "audit_run")
    assert job.state == "done", job.error
    at.run()
    assert {metric.label: metric.value for metric in at.metric}["Related pairs"] == "1"


def test_an_audit_that_is_gone_is_a_sentence():
    at = page("audit", audit="nothing")
    assert len(at.error) == 1 and "There is no audit 'nothing' here" in at.error[0].value


def test_a_cancelled_audit_keeps_what_was_finished(references, monkeypatch):
    at = page("audit")
    at.multiselect(key="audit_saved").set_value(references).run()
    done = []

    def stop(*arguments, **choices):
        done.append(arguments)
        manager().cancel(manager().active("audit")[0].id)
        choices["report"]("matching", 0.5)

    monkeypatch.setattr(auditing, "evidence_or_why", stop)
    job = press_for_job(at, "audit_run")
    assert job.state == "cancelled" and len(done) == 1
    at.run()
    assert "fingerprints and pairs that were finished are kept" in said(at)
