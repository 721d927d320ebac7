"""The end of every family: the norm before the unembedding is found and does what its gain says."""

import pytest
import torch
from support.loading import loaded_tiny
from support.tiny_models import ALL_FAMILIES, tiny_model

from fnet_core.errors import RequestError
from fnet_core.models.output import final_norm, norm_behind_mlp, norm_gain, unembedding

BEHIND = ("gemma2", "gemma3_text", "olmo2", "olmo3", "exaone4", "glm4")


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_norms_are_found_and_the_final_one_does_what_its_gain_says(family):
    model = tiny_model(family)
    assert len(norm_behind_mlp(model)) == (3 if family in BEHIND else 0)
    norm = final_norm(model)
    assert norm is not None
    generator = torch.Generator().manual_seed(0)
    for parameter in norm.parameters():
        parameter.data = torch.rand(parameter.shape, generator=generator) + 0.5
    width = model.config.hidden_size
    gain_D, centred = norm_gain(norm, width)
    x_D, zero_D = torch.randn(width, generator=generator), torch.zeros(width)
    moved_D = x_D - x_D.mean() if centred else x_D
    expected_D = moved_D / moved_D.pow(2).mean().sqrt() * gain_D + norm(zero_D)
    torch.testing.assert_close(norm(x_D).float(), expected_D, rtol=1e-3, atol=1e-3)


def test_an_unembedding_of_another_width_is_refused():
    loaded = loaded_tiny("opt", word_embed_proj_dim=12)
    with pytest.raises(RequestError, match="no projection from its 24 dimensions to tokens"):
        unembedding(loaded)
    assert unembedding(loaded_tiny("opt")).weight.shape[1] == 24
