"""Things of one kind by name: our own, those with a prefix, and a user's `module:function`."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from .errors import FAILURES, InputError, first_line, nearest
from .userfunction import resolve

Made = TypeVar("Made")


@dataclass(frozen=True)
class Prefix:
    """Names that begin alike and go on with something of the user's choice, as `file:PATH` does."""

    #: `module:attribute` of what is called with the rest of the name as its first argument.
    place: str
    #: What stands for the rest in lists of names: PATH, NAME, K.
    rest: str
    #: Raises `InputError` for a rest that nothing has, the empty one included. Without it every rest but that will do.
    check: Callable[[str], None] | None = None


class Registry(Mapping[str, Any]):
    """The things of one `kind`, found by name; nothing of a thing is imported before it is asked for.

    `entries` maps each name to the `module:attribute` where the thing lies, the module relative to `package`;
    `prefixes` maps the beginnings of names (`file:`) to a `Prefix`. With `users`, a name of the form `module:function`
    that has no known prefix is a user's own. `hints` maps further names that a user may mean to what is suggested for
    them. As a mapping it holds `entries` alone.
    """

    def __init__(
        self,
        kind: str,
        package: str,
        entries: Mapping[str, str],
        prefixes: Mapping[str, Prefix] | None = None,
        users: str | None = "module:function",
        hints: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self._package = package
        self._entries = dict(entries)
        self._prefixes = dict(prefixes or {})
        self._users = users
        self._hints = dict(hints or {})

    def __getitem__(self, name: str) -> Any:
        return self._load(self._entries[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    @property
    def known(self) -> tuple[str, ...]:
        """Every form that a name may have, for messages and help texts."""
        forms = [prefix + form.rest for prefix, form in self._prefixes.items()]
        return (*self._entries, *forms, *([self._users] if self._users else []))

    def is_users(self, name: str) -> bool:
        """Return whether `name` is `module:function`, something of the user's own."""
        module, _, attribute = name.partition(":")
        return bool(self._users and module and attribute) and self._prefix(name) is None and name not in self._entries

    def check(self, name: str, others: tuple[str, ...] = ()) -> None:
        """Raise `InputError` for a name that nothing has, with the nearest one; imports nothing.

        `others` are further words that stand where the name does.
        """
        if (prefix := self._prefix(name)) is not None:
            if check := self._prefixes[prefix].check:
                check(name.removeprefix(prefix))
        elif name not in (*self._entries, *others) and not self.is_users(name):
            known = (*self.known, *others)
            hint = f', did you mean "{self._hints[name]}"?' if name in self._hints else nearest(name, known)
            raise InputError(f'unknown {self.kind} "{name}"{hint} (known: {", ".join(known)})')

    def find(self, name: str) -> Any:
        """Return the thing called `name`; of a prefix, what it is called with bound to the rest of the name.

        Raises `InputError` for a name that nothing has, and for a user's own that cannot be imported.
        """
        self.check(name)
        if name in self._entries:
            return self[name]
        if (prefix := self._prefix(name)) is not None:
            return partial(self._load(self._prefixes[prefix].place), name.removeprefix(prefix))
        return resolve(name)

    def make(self, name: str, kind: type[Made], *arguments: object) -> Made:
        """Return what the thing called `name` makes of `arguments`, a `kind`.

        Raises `InputError` as `find` does, and where a user's own fails or makes something else.
        """
        maker = self.find(name)
        try:
            made = maker(*arguments)
        except FAILURES as error:
            if not self.is_users(name):
                raise
            raise InputError(f'"{name}" failed: {first_line(error)}') from error
        if not isinstance(made, kind):
            raise InputError(f'"{name}" must make a {kind.__name__}, but makes a {type(made).__name__}')
        return made

    def _prefix(self, name: str) -> str | None:
        """Return the prefix that `name` has; a name without a rest has one only where that checks it."""
        return next(
            (p for p, form in self._prefixes.items() if name.startswith(p) and (name != p or form.check)),
            None,
        )

    def _load(self, place: str) -> Any:
        module, _, attribute = place.partition(":")
        return getattr(importlib.import_module(module, self._package), attribute)
