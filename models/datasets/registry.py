"""The registry of datasets; a new one is a file of its own and a line here. Nothing of a dataset is imported here."""

from ..registry import Prefix, Registry

#: Each is called without arguments; a user's function with the keyword seed, if it has such a parameter.
DATASETS = Registry(
    "data",
    __package__,
    {
        "digits": ".digits:load",
        "cifar10": ".torchvision:cifar10",
        "cifar100": ".torchvision:cifar100",
        "svhn": ".torchvision:svhn",
        "tiny-imagenet": ".tinyimagenet:load",
        "imagenet": ".imagenet:load",
    },
    {"imagefolder:": Prefix(".imagefolder:load", "PATH[@SIZE]")},
)
