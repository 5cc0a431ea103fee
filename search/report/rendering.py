"""Pages made from templates: every text in them is escaped."""

from datetime import datetime
from importlib import resources
from typing import Any

from ..record.version import package_version


def render(template: str, **values: Any) -> str:
    """Return the page of a template of this package, with `values`, the time, and the package's version in it."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def text(name: str) -> str:
        return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")

    environment = Environment(
        loader=FunctionLoader(text), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return environment.get_template(template).render(**values, made=made, version=package_version())
