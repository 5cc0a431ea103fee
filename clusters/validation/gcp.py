"""Checks of machines of Google Cloud, by the facts of its discovery document."""

from collections.abc import Mapping
from typing import Any

from .schema import check_schema, facts


def check_gcp(document: Mapping[str, Any]) -> None:
    """Check the `node_config` of all node types as the Instance of Compute Engine's API.

    Raise DocumentError for the first thing that it refuses.
    """
    schema = facts("gcp_instance")
    properties = schema["$defs"]["Instance"]["properties"]
    for name, node in document["available_node_types"].items():
        config = dict(node["node_config"])
        place = ("available_node_types", name, "node_config")
        # Ray takes it out before it asks.
        config.pop("sourceInstanceTemplate", None)
        # The API takes the parts of a message in a list, too, as Ray's own examples have them.
        scheduling = config.get("scheduling")
        if isinstance(scheduling, list):
            del config["scheduling"]
            for number, part in enumerate(scheduling):
                check_schema(
                    part, {**properties["scheduling"], "$defs": schema["$defs"]}, (*place, "scheduling", number)
                )
        check_schema(config, schema, place)
