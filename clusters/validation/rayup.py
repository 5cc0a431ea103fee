"""Checks of the file of `ray up`, by Ray itself."""

import contextlib
import copy
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .mistake import DocumentError
from .schema import check_schema, unknown_name

#: What Ray's providers read under `provider` beyond what its schema names, which lets everything pass.
_PROVIDER = {"use_external_head_ip", "external_head_ip", "key_pair", "aws_credentials", "coordinator_address"}


def check_ray_up(document: Mapping[str, Any]) -> None:
    """Check a file of `ray up` by Ray's schema and rules. Raise DocumentError for the first thing that it refuses."""
    import ray.autoscaler
    from click import ClickException
    from ray.autoscaler._private.util import prepare_config, validate_config

    schema = json.loads(Path(ray.autoscaler.__file__).with_name("ray-schema.json").read_text())
    check_schema(document, schema)
    known = _PROVIDER | set(schema["properties"]["provider"]["properties"])
    for name in document["provider"]:
        if name not in known:
            raise unknown_name(("provider", name), known)
    quiet = io.StringIO()
    try:
        # It prints warnings, such as of file mounts that are no folders.
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            prepared = prepare_config(copy.deepcopy(dict(document)))
            check_schema(prepared, schema)
            validate_config(prepared)
    except DocumentError:
        raise
    except (AssertionError, ClickException, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines() or quiet.getvalue().strip().splitlines() or [type(error).__name__]
        raise DocumentError((), f"Ray refuses the cluster: {reason[0].rstrip('.')}") from None
