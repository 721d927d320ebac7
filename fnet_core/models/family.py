"""What a family says of its models: where they keep what FNet reads and changes, without loading any library."""

from dataclasses import dataclass

from fnet_core.choices import Site

_IN_ORDER: tuple[Site, ...] = ("mlp", "mlp_out", "residual", "heads", "experts")


@dataclass(frozen=True)
class Family:
    """One architecture's module paths; `layers` is relative to the model, the others to a decoder layer."""

    layers: str
    up: tuple[str, ...]
    """The modules whose output rows are MLP neurons: gate and up, both in one, or the one of an MLP without gate."""
    gated: bool
    """Whether a neuron's activation is multiplied with a second, linear signal."""
    activation: str
    """The MLP's activation function."""
    down: str
    """The MLP's down-projection: its input is site `mlp`."""
    mlp_out: str
    """The module whose output the MLP branch adds to the residual stream: site `mlp_out`.

    Granite adds it times its `residual_multiplier`, one number for all layers, which the site leaves out.
    """
    qkv: tuple[str, ...]
    """The projections to queries, keys and values, or the one that holds all three."""
    attention_out: str
    """The attention output projection: its input is site `heads` before averaging."""
    interleaved: bool = False
    """Whether a shared projection holds query, key and value group by group, not one after the other."""
    width_field: str = "intermediate_size"
    """The configuration's name for MLP neurons per layer; empty where it has none."""
    heads_bound: str = ""
    """Why no head can go without changing the others, as half a sentence; empty where one can."""
    heads_in_config: bool = True
    """Whether the configuration can say fewer heads of the same size."""
    head_counters: tuple[str, ...] = ()
    """Attributes of the attention module that count query heads, `config.` for the configuration it reads them from."""
    group_counters: tuple[str, ...] = ()
    """Attributes of the attention module that count key/value groups."""
    head_sums: tuple[str, ...] = ()
    """Attributes of the attention module that hold query heads times their size."""
    per_head: str = ""
    """A parameter that holds one number for each query head of a layer; empty where there is none."""
    router: str = ""
    """The module of a mixture of experts whose weight gives each expert's logit: site `experts`; empty in dense ones.

    A mixture has no `up`, `activation` and `down`, for its experts are slices of one tensor that no module holds.
    """
    sigmoid_router: bool = False
    """Whether each expert's probability is the sigmoid of its logit, not its share of the softmax over all."""
    experts: str = ""
    """The module that holds a mixture's experts, of which a token goes through `num_experts_per_tok`."""
    lacks: tuple[Site, ...] = ()
    """Sites that only some layers of a hybrid have, or none of a model without attention."""

    by_structure: bool = False
    """Whether the row was read off the model's own forward pass instead of the table."""

    @property
    def sites(self) -> tuple[Site, ...]:
        """The sites that the architecture has."""
        usual: tuple[Site, ...] = ("mlp_out", "residual", "heads", "experts" if self.router else "mlp")
        return tuple(site for site in _IN_ORDER if site in usual and site not in self.lacks)

    @property
    def attention(self) -> str:
        """The attention module that holds the projections."""
        return self.attention_out.rpartition(".")[0]
