"""An audit as the document that the record keeps."""

from ...files import JsonObject
from .audit import Audit
from .findings import findings
from .verdict import verdict


def document(audit: Audit) -> JsonObject:
    """Return the audit as plain values, its findings and its verdict with it."""
    return audit.to_dict() | {"findings": findings(audit), "verdict": verdict(audit)}
