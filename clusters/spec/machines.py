"""Facts about machine types of clouds: which have GPUs, and which."""

import re

from .nodes import Node

#: GPUs of AWS machine types: family, the type of its GPUs, and their number by size.
_AWS: dict[str, tuple[str, dict[str, int]]] = {
    "p3": ("V100", {"2xlarge": 1, "8xlarge": 4, "16xlarge": 8}),
    "p3dn": ("V100", {"24xlarge": 8}),
    "p4d": ("A100", {"24xlarge": 8}),
    "p4de": ("A100", {"24xlarge": 8}),
    "p5": ("H100", {"4xlarge": 1, "48xlarge": 8}),
    "p5e": ("H200", {"48xlarge": 8}),
    "p5en": ("H200", {"48xlarge": 8}),
    "p6-b200": ("B200", {"48xlarge": 8}),
    "g4dn": (
        "T4",
        {"xlarge": 1, "2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "16xlarge": 1, "12xlarge": 4, "metal": 8},
    ),
    **{
        family: (
            accelerator,
            {
                **{size: 1 for size in ("xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge")},
                "12xlarge": 4,
                "24xlarge": 4,
                "48xlarge": 8,
            },
        )
        for family, accelerator in (("g5", "A10G"), ("g6", "L4"), ("g6e", "L40S"))
    },
}

#: GPUs of GCP machine types that bring their own: how the name begins, and the type of the GPUs.
_GCP = {
    "a2-highgpu": "A100",
    "a2-megagpu": "A100",
    "a2-ultragpu": "A100",
    "a3-highgpu": "H100",
    "a3-megagpu": "H100",
    "a3-edgegpu": "H100",
    "a3-ultragpu": "H200",
    "a4-highgpu": "B200",
    "g2-standard": "L4",
}

#: GPUs of one L4 machine of GCP by its CPUs; the other types say it in their name, as in a2-highgpu-4g.
_G2 = {4: 1, 8: 1, 12: 1, 16: 1, 24: 2, 32: 1, 48: 4, 96: 8}

#: Machines of GCP that take no GPUs; those of N1 take what the file asks for.
_GCP_WITHOUT = re.compile(r"(c2|c2d|c3|c3d|c4|c4a|c4d|e2|h3|h4d|m1|m2|m3|m4|n2|n2d|n4|n4d|t2a|t2d|x4|z3)-")

#: The GPUs that an N1 machine of GCP takes, by their names in Ray and in GCP.
ATTACHED = {"T4": "nvidia-tesla-t4", "V100": "nvidia-tesla-v100", "P100": "nvidia-tesla-p100", "P4": "nvidia-tesla-p4"}


def check_machine(kind: str, node: Node) -> None:
    """Raise ValueError where the machine type of a cloud has other GPUs than its node says.

    A machine type that is not known here is taken as it is: clouds have new ones every month.
    """
    if node.machine is None:
        raise ValueError(f"machine is missing: a machine type of {kind}, such as {_example(kind, node)}")
    if node.machine.startswith("n1-") and node.gpus and node.accelerator not in ATTACHED:
        known = ", ".join(ATTACHED)
        raise ValueError(f'accelerator = "{node.accelerator}": machine = "{node.machine}" takes one of {known}')
    found = _gpus(kind, node)
    if found is None:
        return
    number, accelerator = found
    if node.gpus and not number:
        raise ValueError(
            f'gpus = {node.gpus}, but machine = "{node.machine}" has none; take a machine with GPUs, such as '
            f"{_example(kind, node)}, or set gpus = 0"
        )
    if node.gpus != number:
        raise ValueError(
            f'gpus = {node.gpus}, but machine = "{node.machine}" has {number} {accelerator}; set gpus = {number}, or '
            "take another machine"
        )
    if node.accelerator and not node.accelerator.startswith(accelerator):
        raise ValueError(
            f'accelerator = "{node.accelerator}", but the GPUs of machine = "{node.machine}" are {accelerator}'
        )


def _gpus(kind: str, node: Node) -> tuple[int, str] | None:
    """Return number and type of the GPUs of a node's machine type, or None where that is not known here."""
    machine = node.machine or ""
    if kind == "aws":
        family, _, size = machine.partition(".")
        if family in _AWS:
            accelerator, sizes = _AWS[family]
            return (sizes[size], accelerator) if size in sizes else None
        return None if family[:1] in ("g", "p") else (0, "")
    name, _, size = machine.rpartition("-")
    if name == "g2-standard" and size.isdecimal() and int(size) in _G2:
        return _G2[int(size)], "L4"
    if name in _GCP and size.removesuffix("g").isdecimal() and size.endswith("g"):
        return int(size[:-1]), _GCP[name]
    return (0, "") if _GCP_WITHOUT.match(machine) else None


def _example(kind: str, node: Node) -> str:
    if kind == "aws":
        return "g5.4xlarge" if node.gpus else "m7i.xlarge"
    return "g2-standard-8" if node.gpus else "n2-standard-4"
