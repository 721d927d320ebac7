"""On how many threads numbers are computed: torch's and those of numpy's linear algebra.

Sums are split among threads, so that another number of them gives other last digits; ICA can turn these into other
networks where a model has few that stand out. The same number gives the same bits, on fewer processors too.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_MOST = 1024
"""No more threads are taken from a file that somebody else wrote."""


def threads() -> dict[str, int]:
    """The number of threads of torch and of linear algebra in this process, as recipes name them."""
    import torch
    from threadpoolctl import threadpool_info

    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {"torch": torch.get_num_threads(), "blas": max(pools, default=1)}


@contextmanager
def on_threads(wanted: Mapping[str, int]) -> Iterator[None]:
    """Inside, this process computes on as many threads as `threads` once told; an empty mapping changes nothing.

    ValueError for what `threads` would not tell.
    """
    if not wanted:
        yield
        return
    counts = [wanted.get(name) for name in ("torch", "blas")]
    if any(type(count) is not int or not 0 < count <= _MOST for count in counts):
        raise ValueError(f"{dict(wanted)!r} is no number of threads")
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(wanted["torch"])
    try:
        with threadpool_limits(wanted["blas"], user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
