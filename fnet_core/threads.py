"""Threads that wait give their processor away, so that work beside a computation does not slow it down many times.

OpenMP's threads spin at the end of every parallel part; on a machine whose processors are all taken, each waits for one
that spins elsewhere. OpenMP reads the settings when it is loaded, so this must run before torch is imported.
"""

import os

SETTINGS = {"GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0", "OPENBLAS_THREAD_TIMEOUT": "4"}
"""Of GNU's and of Intel's and LLVM's OpenMP: spin zero times, sleep after zero milliseconds; of numpy's OpenBLAS: sleep
after the fewest turns that it knows, 2 to the power of 4."""


def wait_politely() -> None:
    """Set what a person has not set, for this process and its children; a policy of their own stands."""
    if "OMP_WAIT_POLICY" in os.environ:
        return
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
