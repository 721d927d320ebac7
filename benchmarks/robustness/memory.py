"""Computations under a limit on memory: told, freed, and the next one works; and models that nobody needs go."""

import gc
import resource
from typing import Any

from benchmarks.robustness import children
from benchmarks.robustness.samples import Samples, ask

_ROOM = 600 * 10**6
"""Bytes of addresses beyond what the process begins with."""
_TEXT = 150 * 10**6
"""Bytes of a text that may be given, and which is in memory as bytes and as letters for a moment."""


def run(samples: Samples, count: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Ask for too much as a command and as a job, in a child with little room, and for the ordinary after each."""
    status, found = children.once(lambda: _tried(samples), 120.0)
    if status != 0:
        return {"ended with": status, "met": False}
    return found | {
        "met": found["job"] == "failed"
        and "ran out of memory" in found["job said"]
        and found["command"] == 2
        and "not enough memory" in found["command said"]
        and found["next job"] == "done"
        and found["next command"] == 0
        and found["kept models after idling"] == 0
        and found["grown, MB"] < 200
    }


def _tried(samples: Samples) -> dict[str, Any]:
    import torch

    from dashboard.model_access import freeing
    from fnet_core.jobs import JobManager
    from fnet_core.models import loading

    ordinary = samples.filled(("perplexity", "tiny", "--texts", "{other}", "--quiet"))
    assert ask(ordinary)[0] == 0
    before = children.begin_peak()
    _leave(_ROOM)
    jobs = JobManager()

    def greedy(report: Any) -> int:
        loaded = loading.get_loaded("tiny", report=report)
        held = [torch.ones(25_000_000) for _ in range(1000)]
        return len(held) + loaded.layers

    def ask_job(work: Any, key: str) -> Any:
        return jobs.wait(jobs.submit("x", key, freeing(work), label="Counting").id, 60.0)

    first = ask_job(greedy, "greedy")
    second = ask_job(lambda report: loading.get_loaded("tiny", report=report).layers, "ordinary")
    text = samples.folder / "scratch" / "long.txt"
    text.write_text(("a boat, " * 100 + "\n") * (_TEXT // 801))
    _leave(_TEXT)
    command = ask(("perplexity", "tiny", "--texts", str(text), "--quiet"))
    after = ask(ordinary)
    gc.collect()
    loading._kept._idle = 0.0
    loading._kept.release_idle()
    return {
        "job": first.state,
        "job said": first.error,
        "next job": second.state,
        "command": command[0],
        "command said": command[2].strip()[-200:],
        "next command": after[0],
        "kept models after idling": len(loading._kept),
        "grown, MB": round((children.status_bytes("VmRSS") - before) / 1e6),
    }


def _leave(room: int) -> None:
    """Let this process take so many bytes of addresses more than it has now."""
    most = children.status_bytes("VmSize") + room
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
