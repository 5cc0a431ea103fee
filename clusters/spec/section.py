"""Tables of a cluster file."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table: unknown keys, wrong types and values out of range are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
