"""Passwords in the URLs of [tracking]: refused in a study file, and kept out of every file that a search writes."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit, urlunsplit

from ...clusters.spec.secretvalues import SECRET_PARTS, url_holds_secret
from .study import ConfigError

#: How each setting is given its secret otherwise.
_WAYS_OUT = {
    "storage": "leave it out, and set PGPASSWORD, or name a file of passwords by PGPASSFILE or ?passfile=PATH",
    "mlflow": "leave it out, and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
}


def without_secret(url: str) -> str:
    """Return a URL without its password and without what is secret in its query; one without them as it is.

    Of HTTP no user is left either: a user without a password would take the place of what the environment says.
    """
    if not url_holds_secret(url):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition("://")[0] + "://…"
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    place = host if not name or parts.scheme in ("http", "https") else f"{name}@{host}"
    kept = [
        (key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key.lower() not in SECRET_PARTS
    ]
    return urlunsplit((parts.scheme, place, parts.path, urlencode(kept, quote_via=quote_plus), parts.fragment))


def check_file(study: str, settings: Mapping[str, Any]) -> None:
    """Raise ConfigError where the file `study`, of these nested values, holds a secret, without repeating it."""
    tracking = settings.get("tracking")
    for name, way_out in _WAYS_OUT.items():
        value = tracking.get(name) if isinstance(tracking, Mapping) else None
        if isinstance(value, str) and url_holds_secret(value):
            raise ConfigError(f"{study}: tracking.{name} holds a password, which has no place in a file; {way_out}")


def settings_without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings of a study without the secrets of [tracking]."""
    tracking = settings.get("tracking", {})
    cleaned = {name: without_secret(value) if isinstance(value, str) else value for name, value in tracking.items()}
    return {**settings, **({"tracking": cleaned} if tracking else {})}


def override_without_secret(override: str) -> str:
    """Return an override `KEY=VALUE` as it may be shown and repeated."""
    key, equals, value = override.partition("=")
    quote = value[:1] if value[:1] in ("'", '"') and value[-1:] == value[:1] else ""
    bare = value.strip(quote) if quote else value
    return f"{key}{equals}{quote}{without_secret(bare)}{quote}" if key.strip().startswith("tracking.") else override


def shown_in_process_lists(overrides: Iterable[str]) -> list[str]:
    """Return the keys of the overrides that hold a password, which a command line shows to all users of a machine."""
    return [override.partition("=")[0] for override in overrides if override_without_secret(override) != override]
