"""Secrets of a specification: references to them, and reading one for the target that it may go to.

A specification holds no secret, only a reference: ``{"secret": NAME}`` to what the operator of a server published, and on
the command line also ``{"env": VAR}`` or ``{"file": PATH}``. The value is read where the run opens, and lives in the
connection code alone. No error here says anything of a value.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn, Protocol

from aurea_engine.errors import Problem, SpecError
from aurea_engine.fields.checked import Checked, Name
from aurea_engine.fields.local_files import LOCAL_ONLY, FileName
from aurea_engine.workload.access import Access, PublishedSecret

REFERENCES = 'must be {"secret": NAME}, or on the command line {"env": VARIABLE} or {"file": PATH}'
MOST_BYTES = 64 * 1024
"""Of a file with a secret: more is no header."""


class Destination(Protocol):
    """**Protocol:** where a secret is to be sent."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


@dataclass(frozen=True)
class SecretReference(Checked):
    """Where a secret is: what the operator published as ``secret``, an environment variable, or a file. One of them."""

    secret: Name | None = None
    env: Annotated[Name | None, LOCAL_ONLY] = None
    file: Annotated[FileName | None, LOCAL_ONLY] = None

    @classmethod
    def coerce(cls, _: object) -> NoReturn:
        """Refuses what is no object: it may be the secret itself, so it is not shown."""
        raise SpecError([Problem("", f"{REFERENCES}, and never the secret itself")])

    def check(self) -> list[Problem]:
        if sum(each is not None for each in (self.secret, self.env, self.file)) != 1:
            return [Problem("", REFERENCES)]
        return []


def find_published(name: str, host: str, port: int, access: Access) -> PublishedSecret:
    """The published secret ``name``, if it may be sent to this target. Raises `SpecError`."""
    published = access.secrets.get(name)
    # One sentence for both, so that nobody learns which names there are for other targets.
    if published is None or not published.is_for(host, port):
        problem = "names a secret that is not published for this target: its operator publishes secrets with --secret"
        raise SpecError([Problem("secret", problem, name)])
    return published


def read_secret(reference: SecretReference, origin: Destination, access: Access) -> str:
    """The value, for a request to ``origin``. Raises `SpecError` where it may not be sent there, or cannot be read."""
    if reference.secret is not None:
        published = find_published(reference.secret, origin.host, origin.port, access)
        return read_published(reference.secret, published)
    if not access.local:  # the codec has refused it already: this is the second line
        raise SpecError("a specification that came over HTTP names no environment variable and no file")
    if reference.env is not None:
        return _check(access.given.get(reference.env, os.environ.get(reference.env)), "env", reference.env)
    assert reference.file is not None
    return _read_file(Path(reference.file), "file", reference.file)


def read_published(name: str, published: PublishedSecret) -> str:
    """The value of a published secret, wherever it goes. Raises `SpecError`, which names the secret and not its place."""
    if published.source == "env":
        return _check(os.environ.get(published.reference), "secret", name)
    return _read_file(Path(published.reference), "secret", name)


def _read_file(path: Path, member: str, shown: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise SpecError([Problem(member, f"is in a file of more than {MOST_BYTES:,} bytes", shown)])
        text = content.decode()
    except (OSError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SpecError([Problem(member, f"cannot be read: {why}", shown)]) from None
    # One line break, as editors end the last line.
    return _check(text.removesuffix("\n").removesuffix("\r"), member, shown)


def _check(value: str | None, member: str, shown: str) -> str:
    if not value:
        raise SpecError([Problem(member, "is not set, or is empty", shown)])
    # A line break would end the header that it stands in, and begin another one.
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise SpecError([Problem(member, "has control characters or line breaks in its value", shown)])
    return value
