"""The child process that downloads from the hub: small, so that it starts at once, and easy to kill."""

import sys

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HTTPError

WANTED = (
    "model*.safetensors",
    "model.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "README.md",
    "LICEN*",
)
"""The files of a repository that FNet fetches: safetensors and what describes them, never pickles."""


def main(arguments: list[str]) -> int:
    """The child: download what is wanted of NAME into CACHE; on failure the last line is the reason."""
    name, cache = arguments
    try:
        snapshot_download(name, cache_dir=cache, allow_patterns=list(WANTED))
    except (HTTPError, OSError, RuntimeError) as error:
        print(" ".join(str(error).split()))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
