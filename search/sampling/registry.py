"""The registry of allocations; a new one is a function of a file here and a line below. Nothing of it is imported."""

from ...models.registry import Registry

#: Each is called with a `Share` and returns the densities of its layers up to a factor: shape (layers,), >= 0.
ALLOCATIONS = Registry(
    "allocation",
    __package__,
    {
        "uniform": ".formulas:uniform",
        "er": ".formulas:er",
        "erk": ".formulas:erk",
        "igq": ".idealgas:ideal_gas_quotas",
        "lamp": ".ranking:lamp",
        "global": ".ranking:global_ranking",
    },
)
