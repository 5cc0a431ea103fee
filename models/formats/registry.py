"""The registry of file formats; a new one is a file of its own and a line here. Nothing of one is imported here."""

from ..registry import Registry

#: Each is a `Format`.
FORMATS = Registry(
    "format",
    __package__,
    {
        "fullspectrum": ".fullspectrum:Fullspectrum",
        "torch-prune": ".torch_prune:TorchPrune",
    },
    users="module:Class",
)
