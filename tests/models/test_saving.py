"""Where a saved model may go."""

import pytest

from fnet_core.errors import RequestError
from fnet_core.models.saving import destination


@pytest.mark.parametrize("name", ["/etc/model", "../out", "tiny", "", "a\0b", "/tmp/\0"])
def test_saved_models_stay_in_the_allowed_folders_and_need_a_name_of_their_own(name, tmp_path):
    with pytest.raises(RequestError):
        destination(name, [tmp_path])
