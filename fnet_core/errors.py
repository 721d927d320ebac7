"""The two ways a request ends without a result."""


class RequestError(ValueError):
    """The request cannot be met: one sentence with the value, the rule and what to do.

    Both doors show the sentence as it is: an error box on a page, one line and exit status 2 on the
    command line.
    """


class Cancelled(Exception):
    """The person who asked for a computation stopped it."""
