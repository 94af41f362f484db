"""Secrets: read for their own target alone, and never shown."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from aurea_engine.errors import SpecError
from aurea_engine.targets.secrets import SecretReference, read_secret
from aurea_engine.workload.access import Access, PublishedSecret

PLANTED = "planted-8d1f0c"


class Target(NamedTuple):
    host: str
    port: int


APP = Target("app.example", 443)


def published(source: str, reference: str) -> Access:
    return Access(secrets={"api": PublishedSecret(source, reference, *APP)}, local=False)  # type: ignore[arg-type]


def test_published_variables_are_of_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API", PLANTED)
    access = published("env", "API")
    assert read_secret(SecretReference(secret="api"), APP, access) == PLANTED
    # The same target, written differently.
    assert read_secret(SecretReference(secret="api"), Target("APP.example.", 443), access) == PLANTED


@pytest.mark.parametrize(
    "target", [Target("other.example", 443), Target("app.example", 80), Target("10.0.0.1", 443), Target("..", 443)]
)
def test_secrets_go_to_no_other_target(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the answer is the same as for a secret that is not there: nobody learns which there are."""
    monkeypatch.setenv("API", PLANTED)
    with pytest.raises(SpecError) as refused:
        read_secret(SecretReference(secret="api"), target, published("env", "API"))
    with pytest.raises(SpecError) as unknown:
        read_secret(SecretReference(secret="api"), APP, Access(local=False))
    assert str(refused.value) == str(unknown.value)
    assert PLANTED not in str(refused.value)


def test_files_lose_one_line_break(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for content in (PLANTED, f"{PLANTED}\n", f"{PLANTED}\r\n"):
        file.write_bytes(content.encode())
        assert read_secret(SecretReference(secret="api"), APP, published("file", str(file))) == PLANTED


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", b"a\r\nX-Evil: 1", b"a\0", b"\xff\xfe", b"x" * 70_000])
def test_unusable_values_leave_no_trace(content: bytes, tmp_path: Path) -> None:
    """A line break would start another header. The error has neither the value nor the operator's path."""
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(SpecError) as refused:
        read_secret(SecretReference(secret="api"), APP, published("file", str(file)))
    assert "Evil" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def test_missing_sources_are_named_by_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("API", raising=False)
    for access in (published("env", "API"), published("file", str(tmp_path / "none"))):
        with pytest.raises(SpecError, match="api"):
            read_secret(SecretReference(secret="api"), APP, access)


def test_users_read_what_is_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the command line: a variable, a value that was given by hand and goes before it, or a file."""
    monkeypatch.setenv("MINE", "from-environment")
    (tmp_path / "mine").write_text("from-file\n")
    assert read_secret(SecretReference(env="MINE"), APP, Access()) == "from-environment"
    assert read_secret(SecretReference(env="MINE"), APP, Access(given={"MINE": PLANTED})) == PLANTED
    assert read_secret(SecretReference(file=str(tmp_path / "mine")), APP, Access()) == "from-file"


@pytest.mark.parametrize("reference", [SecretReference(env="HOME"), SecretReference(file="/etc/hostname")])
def test_clients_name_no_source_of_their_own(reference: SecretReference) -> None:
    """The codec refuses it, and so does this, should it ever be reached."""
    with pytest.raises(SpecError):
        read_secret(reference, APP, Access(local=False))


@pytest.mark.parametrize("members", [{}, {"secret": "a", "env": "B"}, {"env": "A", "file": "b"}])
def test_references_name_exactly_one_source(members: dict[str, str]) -> None:
    with pytest.raises(SpecError):
        SecretReference(**members)


def test_given_values_are_not_shown_or_sent() -> None:
    access = Access(given={"MINE": PLANTED})
    assert PLANTED not in repr(access)
    assert PLANTED not in str(access.to_plain())
