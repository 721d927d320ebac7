"""Distilling: fresh weights come to predict what the teacher predicts."""

from dataclasses import replace

import pytest
import torch
from support.loading import loaded_tiny
from torch.nn import functional as F

from fnet_core.derivation.distilling import distil, fresh
from fnet_core.derivation.training import Training
from fnet_core.errors import RequestError

TEXT = "the quick brown fox jumps over the lazy dog, again and again. "


def predicted(model):
    ids = torch.tensor(loaded_tiny().tokenizer(TEXT)["input_ids"])[None]
    with torch.no_grad():
        return F.log_softmax(model(ids).logits[0], dim=-1)


def test_the_student_comes_nearer_to_the_teacher_and_the_seed_decides(tmp_path):
    file = tmp_path / "fox.txt"
    file.write_text(TEXT * 6)
    teacher = loaded_tiny()
    wanted = predicted(teacher.model)
    found = []
    for seed in (1, 1, 2):
        student = replace(teacher, model=fresh(teacher.model, seed))
        apart = float(F.kl_div(predicted(student.model), wanted, reduction="batchmean", log_target=True))
        training = Training(steps=15, learning_rate=5e-3, window=24, batch=2)
        facts = distil(student, teacher.model, str(file), training, seed)
        near = float(F.kl_div(predicted(student.model), wanted, reduction="batchmean", log_target=True))
        assert near < 0.8 * apart and facts["loss"][1] < facts["loss"][0] and facts["text"] == "fox.txt"
        assert not any(weight.requires_grad for weight in student.model.parameters())
        found.append(predicted(student.model))
    assert torch.equal(predicted(teacher.model), wanted)
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_a_model_that_its_configuration_does_not_describe_is_refused():
    model = loaded_tiny().model
    model.config.fnet_resized = [8, 40, 40]
    with pytest.raises(RequestError, match="several widths"):
        fresh(model, 0)
