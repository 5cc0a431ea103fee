"""Writes the schemas of facts of `clusters/validation/facts/`: names, types and limits of what a platform takes.

    python -m tests.clusters.facts kuberay ray.io_rayjobs.yaml > clusters/validation/facts/rayjob.json
    python -m tests.clusters.facts gcp compute.v1.json > clusters/validation/facts/gcp_instance.json
    python -m tests.clusters.facts skypilot > clusters/validation/facts/skypilot_task.json

They were last written from KubeRay of August 2026 (commit feaf72f), google-api-python-client 2.202 and SkyPilot 0.14.
The first file is the custom resource definition of KubeRay's Helm chart, the second the discovery document that
google-api-python-client carries; the third needs the package skypilot. All texts for people are left out.
"""

import collections
import json
import sys
from pathlib import Path
from typing import Any

#: What says of a value whether it is right, and not what it is for.
_KEPT = ("type", "enum", "required", "pattern", "minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength")

#: Metadata of an object of Kubernetes, of which a definition says nothing.
_METADATA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
        "finalizers": {"type": "array", "items": {"type": "string"}},
    },
}


def of_resource(definition: dict[str, Any]) -> dict[str, Any]:
    """The facts of a custom resource definition: the object as of its stored version, without its status."""
    (version,) = (each for each in definition["spec"]["versions"] if each["storage"])
    schema = _plain(version["schema"]["openAPIV3Schema"])
    names = definition["spec"]["names"]
    del schema["properties"]["status"]
    schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
    schema["properties"]["apiVersion"] = {"enum": [f"{definition['spec']['group']}/{version['name']}"]}
    schema["properties"]["kind"] = {"enum": [names["kind"]]}
    schema["properties"]["metadata"] = _METADATA
    return _shared(schema)


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """The facts of a schema of OpenAPI; an object has no properties but those that are named."""
    found = {key: schema[key] for key in _KEPT if key in schema}
    if schema.get("x-kubernetes-int-or-string"):
        found["type"] = ["integer", "string"]
    if "items" in schema:
        found["items"] = _plain(schema["items"])
    if "properties" in schema:
        # What has a default may be left out.
        required = [name for name in schema.get("required", ()) if "default" not in schema["properties"][name]]
        found = {key: value for key, value in found.items() if key != "required"}
        found |= {"required": required} if required else {}
        found["properties"] = {name: _plain(inner) for name, inner in schema["properties"].items()}
        found["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    elif isinstance(schema.get("additionalProperties"), dict):
        found["additionalProperties"] = _plain(schema["additionalProperties"])
    return found


def _shared(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema, in which what occurs several times stands once under `$defs`."""
    counts: collections.Counter[str] = collections.Counter()

    def count(node: Any) -> None:
        if isinstance(node, dict):
            if "properties" in node:
                counts[json.dumps(node, sort_keys=True)] += 1
            for inner in node.values():
                count(inner)

    defined: dict[str, Any] = {}
    names: dict[str, str] = {}

    def share(node: Any, name: str) -> Any:
        if not isinstance(node, dict):
            return node
        text = json.dumps(node, sort_keys=True)
        known = names.get(text)
        if known is None:
            inner = {key: share(value, key if key not in _STRUCTURE else name) for key, value in node.items()}
            if "properties" not in node or counts[text] < 2:
                return inner
            known = name
            while known in defined:
                known += "_"
            names[text] = known
            defined[known] = inner
        return {"$ref": f"#/$defs/{known}"}

    count(schema)
    return share(schema, "") | {"$defs": dict(sorted(defined.items()))}


#: Keys of a schema that do not name a property.
_STRUCTURE = ("properties", "items", "additionalProperties")


def of_discovery(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The facts of a schema of a discovery document, and of all that it refers to."""
    schemas, defined, left = document["schemas"], {}, [name]

    def plain(schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in schema:
            left.append(schema["$ref"])
            return {"$ref": f"#/$defs/{schema['$ref']}"}
        found = {key: schema[key] for key in ("type", "enum") if key in schema and schema[key] != "any"}
        # Whole numbers of 64 bits are texts; the client takes numbers too.
        if schema.get("format") in ("int64", "uint64"):
            found["type"] = ["string", "integer"]
        if "items" in schema:
            found["items"] = plain(schema["items"])
        if "properties" in schema:
            inner = schema["properties"].items()
            found["properties"] = {key: plain(value) for key, value in inner if not value.get("readOnly")}
            found["additionalProperties"] = False
        elif isinstance(schema.get("additionalProperties"), dict):
            found["additionalProperties"] = plain(schema["additionalProperties"])
        return found

    while left:
        if (other := left.pop()) not in defined:
            defined[other] = plain(schemas[other])
    return {"$ref": f"#/$defs/{name}", "$defs": dict(sorted(defined.items()))}


def of_task() -> dict[str, Any]:
    """The facts of a task of SkyPilot, with those of its resources and its storage."""
    from sky.utils import schemas

    task = schemas.get_task_schema()
    task["properties"]["resources"] = schemas.get_resources_schema()
    facts = _without_texts(task)
    # The schemas of single clouds go on for pages, and those of storage are checked where it is mounted.
    for name in ("config", "service"):
        facts["properties"][name] = {"type": "object"}
    return facts


def _without_texts(schema: Any, of_names: bool = False) -> Any:
    """A schema without descriptions, defaults and examples; `of_names`: its keys are names of properties."""
    if isinstance(schema, list):
        return [_without_texts(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = () if of_names else ("description", "default", "examples", "title", "$schema", "case_insensitive_enum")
    return {
        key: _without_texts(value, of_names=not of_names and key in ("properties", "patternProperties"))
        for key, value in schema.items()
        if key not in dropped
    }


def _text(schema: dict[str, Any]) -> str:
    """A schema as JSON, a definition a line."""
    defined = schema.pop("$defs", {})
    head = json.dumps(schema, separators=(",", ":"), sort_keys=True)
    if not defined:
        return head
    lines = [
        f"{json.dumps(name)}:{json.dumps(each, separators=(',', ':'), sort_keys=True)}"
        for name, each in defined.items()
    ]
    return f'{head[:-1]},"$defs":{{\n' + ",\n".join(lines) + "\n}}"


def main(of: str, file: str | None = None) -> None:
    """Print the facts of one platform."""
    if of == "kuberay":
        import yaml

        print(_text(of_resource(yaml.safe_load(Path(file).read_text()))))
    elif of == "gcp":
        print(_text(of_discovery(json.loads(Path(file).read_text()), "Instance")))
    else:
        print(_text(of_task()))


if __name__ == "__main__":
    main(*sys.argv[1:])
