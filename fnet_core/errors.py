"""The two ways a request ends without a result, and how an error tells that memory ran out."""

import errno
import re


class RequestError(ValueError):
    """The request cannot be met: one sentence with the value, the rule and what to do.

    Both doors show the sentence as it is: an error box on a page, one line and exit status 2 on the
    command line.
    """


class Cancelled(Exception):
    """The person who asked for a computation stopped it."""


_FULL = re.compile(r"DefaultCPUAllocator|bad_alloc|Cannot allocate memory|Unable to allocate|can't start new thread")


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the machine or of an accelerator; libraries' own errors are known by name and text."""
    names = {base.__name__ for base in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"} or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return _FULL.search(str(error)) is not None
