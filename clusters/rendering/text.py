"""Documents as text: YAML that people read, and JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def yaml_text(comment: str, *documents: Mapping[str, Any]) -> str:
    """Return YAML documents under a comment; keys keep their order, texts of several lines are blocks."""
    import yaml

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

    def block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Dumper.add_representer(str, block)
    texts = [
        yaml.dump(plain(document), Dumper=Dumper, sort_keys=False, width=1000, allow_unicode=True)
        for document in documents
    ]
    return f"# {comment}\n" + "---\n".join(texts)


def json_text(document: Mapping[str, Any]) -> str:
    """Return a JSON document, a key a line."""
    return json.dumps(plain(document), indent=2, ensure_ascii=False) + "\n"


def whole(number: float) -> int | float:
    """Return a number without its point where nothing follows it."""
    return int(number) if number == int(number) else number


def plain(value: Any) -> Any:
    """Return nested values with plain dicts and lists: what YAML and JSON can say."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    return value
