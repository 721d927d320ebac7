"""Seeds: whole numbers that every generator here takes."""

from fnet_core.errors import RequestError


def check_seed(seed: int) -> None:
    """RequestError unless the seed is between 0 and 2^63 - 1."""
    if not 0 <= seed < 2**63:
        raise RequestError(f"The seed {seed} is out of range; choose 0 to 2^63 - 1.")
