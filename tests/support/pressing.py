"""Press a button that asks for a job, and know which job that was."""

from unittest.mock import patch

from streamlit.testing.v1 import AppTest

from dashboard import jobs
from fnet_core.jobs import Job, manager


def press_for_job(at: AppTest, key: str, timeout: float = 60) -> Job:
    """The job that pressing the button of this key asks for, once it has ended.

    The job may end, and the page take its result, within the run that the press causes, so the page does not tell;
    or it may still run, and the page follow it once more: the press itself is the first to follow it.
    """
    with patch.object(jobs, "watch", wraps=jobs.watch) as watch:
        at.button(key=key).click().run()
    assert not at.exception, at.exception
    assert watch.called, f"pressing {key} asked for no job"
    job: Job = watch.call_args_list[0].args[0]
    return manager().wait(job.id, timeout)
