"""Checks of machines of AWS, by botocore's model of EC2."""

import re
import warnings
from collections.abc import Mapping
from typing import Any

from .mistake import DocumentError
from .schema import unknown_name

#: What Ray itself reads of a node's configuration, before it asks EC2.
_RAYS = {"SubnetIds"}


def check_aws(document: Mapping[str, Any]) -> None:
    """Check the `node_config` of all node types as what EC2's RunInstances takes.

    Raise DocumentError for the first thing that it refuses. Without botocore (extra `aws`) warn that it is unchecked.
    """
    try:
        import botocore.session
        from botocore.validate import ParamValidator
    except ImportError:
        warnings.warn(
            "node_config is not checked, as botocore is not installed: pip install 'fullspectrum[aws]'", stacklevel=2
        )
        return
    operation = botocore.session.Session().get_service_model("ec2").operation_model("RunInstances")
    for name, node in document["available_node_types"].items():
        config = {key: value for key, value in node["node_config"].items() if key not in _RAYS}
        given = {"MinCount": 1, "MaxCount": 1} | config
        for kind, place, details in ParamValidator().validate(given, operation.input_shape)._errors:
            where = ("available_node_types", name, "node_config", *_parts(place))
            raise _mistake(kind, where, details)


def _parts(place: str) -> list[str | int]:
    """Return the names and numbers of a place as botocore spells it, such as `.BlockDeviceMappings[0].Ebs`."""
    return [int(part) if part.isdecimal() else part for part in re.findall(r"\w+", place)]


def _mistake(kind: str, where: tuple[str | int, ...], details: Mapping[str, Any]) -> DocumentError:
    if kind == "unknown field":
        known = {*details["valid_names"], *(_RAYS if len(where) == 3 else ())} - {"MinCount", "MaxCount", "DryRun"}
        return unknown_name((*where, details["unknown_param"]), known)
    if kind == "missing required field":
        return DocumentError((*where, details["required_name"]), "missing")
    if kind == "invalid type":
        # It spells types as Python does: <class 'bool'>.
        expected = " or ".join(re.sub(r"\W|class", "", str(each)) for each in details["valid_types"])
        return DocumentError(where, f"{details['param']!r} is of the wrong type, expected {expected}")
    return DocumentError(where, f"{kind}: {details.get('param')!r}")
