"""Which documents the server judges by itself, and which it hands to a process because they name other people's code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import Job, default_catalog
from aurea_server.http.openapi import build_document
from aurea_server.http.operations import OPERATIONS
from aurea_server.runner.kinds import Kinds

THEIRS = Kinds({"jobs": ("query", "fifo")})
BUILT_IN = {"workload": {"job": {"kind": "sleep"}, "arrivals": {"kind": "poisson", "rate": 1}, "jobs": 1}}


def job(kind: Any) -> dict[str, Any]:
    return {"workload": {"job": {"kind": "mix", "of": [{"weight": 1, "job": {"kind": kind}}]}, "jobs": 1}}


@pytest.mark.parametrize(
    "body",
    [{"num_jobs": 1}, BUILT_IN, {**BUILT_IN, "cost": {"kind": "free"}}, job("sleep"), job(None), job(3), [], "x"],
)
def test_built_in_kinds_are_judged_here(body: Any) -> None:
    """Also what is no specification at all: nobody else's code is needed to say so."""
    assert not THEIRS.is_foreign(body)


@pytest.mark.parametrize(
    "body", [job("query"), job("quary"), {"cost": {"kind": "query"}}, {"a": [[{"kind": "query"}]]}]
)
def test_other_kinds_are_judged_elsewhere(body: Any) -> None:
    """At any depth; also an unknown name, so that the answer can list theirs."""
    assert THEIRS.is_foreign(body)
    assert not Kinds().is_foreign(body)


def test_kinds_belong_to_their_group() -> None:
    """A name that is built in in another group is theirs."""
    assert THEIRS.is_foreign({**BUILT_IN, "scheduler": {"kind": "fifo"}})


class Mine(Job):
    async def run(self, demand: float) -> None: ...


def test_a_catalog_tells_what_is_not_built_in() -> None:
    assert not any(Kinds.of(default_catalog()).others.values())
    assert Kinds.of(default_catalog().add("jobs", "mine", Mine)).others["jobs"] == ("mine",)


def test_installed_kinds_are_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that would end the process when it is imported; one of its names is taken."""
    info = tmp_path / "deadly-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[aurea.jobs]\nquery = deadly:X\nsleep = deadly:X\n[aurea.other]\nno = deadly:X\n"
    )
    (tmp_path / "deadly.py").write_text("import os\nos._exit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    kinds = Kinds.installed()
    assert kinds.others["jobs"] == ("query",)
    assert "deadly" not in sys.modules
    schemas = build_document(OPERATIONS, kinds)["components"]["schemas"]
    assert schemas["Job.query"]["properties"]["kind"] == {"const": "query"}
    assert "#/components/schemas/Job.query" in schemas["Job"]["discriminator"]["mapping"].values()
