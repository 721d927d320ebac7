"""Spilled arrays come back in order; a disk that fills up is a sentence; nothing stays behind."""

import errno

import pytest
import torch

from fnet_core.decomposition.spill import Spill
from fnet_core.errors import RequestError
from fnet_core.storage.artifacts import home


def test_arrays_come_back_in_order_to_half_precision_twice_and_leave_no_file():
    arrays = [torch.randn(5 + i, 70, generator=torch.Generator().manual_seed(i)) * 10 for i in range(4)]
    with Spill() as spill:
        for array in arrays:
            spill.append(array)
        assert len(spill) == 4
        for _ in range(2):
            for array, back in zip(arrays, spill, strict=True):
                assert back.dtype == torch.float32
                torch.testing.assert_close(back, array, atol=0, rtol=1e-3)
        assert not list(home().iterdir())


def test_a_change_after_appending_is_not_seen():
    array = torch.ones(3, 4)
    with Spill() as spill:
        spill.append(array)
        array.zero_()
        assert all((back == 1).all() for back in spill)


class FullDisk:
    """Stands for a file on a disk without space."""

    def __init__(self, file):
        self._file = file

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("after", ["append", "read"])
def test_a_full_disk_is_said_at_the_next_call(after):
    with pytest.raises(RequestError, match="is full"), Spill() as spill:
        spill._file = FullDisk(spill._file)
        spill.append(torch.ones(3, 4))
        if after == "append":
            spill.append(torch.ones(3, 4))
        else:
            next(iter(spill))
