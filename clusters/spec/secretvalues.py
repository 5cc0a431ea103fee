"""What looks like a secret, and must not stand in a file."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

#: Words within the name of an environment variable whose value is a secret.
_WORDS = {"PASSWORD", "PASSWD", "PASS", "PWD", "TOKEN", "SECRET", "SECRETS", "KEY", "APIKEY", "CREDENTIAL"}

#: The last word of a name whose value only says where a secret is, as of RAY_AUTH_TOKEN_PATH.
_ELSEWHERE = {"FILE", "PATH", "DIR", "URL", "NAME"}

#: How the values begin that services give out, and private keys.
_SHAPES = re.compile(
    r"(AKIA|ASIA)[A-Z0-9]{16}\b|gh[pousr]_\w{30,}|github_pat_\w{30,}|glpat-\S{18,}|hf_\w{30,}|xox[abpr]-\S{10,}"
    r"|sk-[\w-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY"
)

#: Parts of a URL's query whose values are secret, whatever the service.
SECRET_PARTS = frozenset(
    ("password", "passwd", "pwd", "token", "access_token", "secret", "sslpassword", "key", "apikey", "api_key")
)

#: A URL within a text.
_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)


def names_secret(name: str) -> bool:
    """Return whether an environment variable of this name holds a secret by all that one knows."""
    words = name.upper().split("_")
    return name.upper() == "PGPASSWORD" or (bool(_WORDS & set(words)) and words[-1] not in _ELSEWHERE)


def holds_secret(text: str) -> bool:
    """Return whether a text is, or holds, a secret by its shape: a token, a private key, a URL with a password."""
    return bool(_SHAPES.search(text)) or any(url_holds_secret(url) for url in _URL.findall(text))


def url_holds_secret(url: str) -> bool:
    """Return whether a URL names a password, or has a secret in its query; of what is no URL, whether it may."""
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return "@" in url
    return parts.password is not None or any(name.lower() in SECRET_PARTS for name, _ in query)


def secret_places(value: Any, place: str = "") -> Iterator[str]:
    """Yield the dotted names of the places in nested plain values where a secret stands."""
    if isinstance(value, str):
        if holds_secret(value):
            yield place
    elif isinstance(value, Mapping):
        # An entry of a list of environment variables, as containers have them.
        if isinstance(name := value.get("name"), str) and names_secret(name) and value.get("value"):
            yield f"{place}.value"
        for key, inner in value.items():
            inner_place = f"{place}.{key}".removeprefix(".")
            # Fields of platforms, such as KeyName or secretKeyRef, are no environment variables.
            if re.fullmatch(r"[A-Z][A-Z0-9_]*", key) and names_secret(key) and isinstance(inner, str) and inner:
                yield inner_place
            else:
                yield from secret_places(inner, inner_place)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from secret_places(inner, f"{place}.{number}".removeprefix("."))
