"""The registry of mask rules; a new one is a file of its own and a line here. Nothing of a rule is imported here."""

from ..registry import Registry

#: Each is a `MaskRule`, called with the `Schedule` of its updates.
RULES = Registry(
    "mask rule",
    __package__,
    {
        "fixed": ".rule:Fixed",
        "set": ".set:SET",
        "rigl": ".rigl:RigL",
        "gradual": ".gradual:Gradual",
        "lr-rewinding": ".lrrewinding:LearningRateRewinding",
    },
    users="module:Class",
)
