"""`logits` on the command line."""

import json

from fnet_core import texts
from fnet_core.cli.main import main
from fnet_core.networks.finding import find_atlas
from fnet_core.networks.request import AtlasRequest


def test_words_json_and_a_wrong_threshold(capsys):
    file = str(find_atlas(AtlasRequest("tiny", texts.bundled("find")[:2], components=3, restarts=2)).path)
    asked = ["logits", "tiny", "--atlas", file, "--threshold", "2"]
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    top = found["networks"][0]
    assert len(top["promoted"]) == len(top["suppressed"]) == 20 and len(top["random_highest"]) == 10
    assert main(asked) == 0
    out = capsys.readouterr().out
    assert f"{top['promoted'][0]['sd']:.1f}" in out and "read as if nothing came after" in out
    assert main(["logits", "tiny", "--atlas", file, "--threshold", "99"]) == 2
    assert "lower the threshold" in capsys.readouterr().err
