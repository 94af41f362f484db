"""Whether all machines would run the same: what differs is said at once, with the places; and which shard goes where."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from aurea_engine import ClusterRefused, RunSpec, Sleep, SpecError, Workload
from aurea_engine.codec.catalog import default_catalog
from aurea_engine.shards.dask_handshake import Installed, choose_foreign, describe_host, find_mismatches, find_own
from aurea_engine.shards.dask_link import open_link
from aurea_engine.shards.dask_shard import run_on_dask
from aurea_engine.shards.dask_workers import Worker, count_on_machine, deal_shards
from tests.engine.shards.dask_cluster import Certificates, make_certificates, start_cluster

OWN = Installed("here", "1.0", "3.11", "2.4.6", {"grpc": "aurea-grpc 2.0"})
SAME = replace(OWN, where="the worker a")


def test_same_everywhere() -> None:
    assert find_mismatches(OWN, [SAME, replace(SAME, where="the worker b")], ["grpc"]) == []


def test_everything_that_differs_is_said_at_once() -> None:
    """Each difference once, with all the places where it is."""
    others = [
        replace(SAME, where="the scheduler", aurea="none", kinds=None),
        replace(SAME, where="a", python="3.12", numpy="1.26.4", kinds=None),
        replace(SAME, where="b", python="3.12", kinds={}),
        replace(SAME, where="c", kinds={"grpc": "aurea-grpc 1.9"}),
        SAME,
    ]
    assert find_mismatches(OWN, others, ["grpc"]) == [
        "the scheduler: Aurea is not installed; here it is 1.0",
        "a, b: Python 3.12, and here it is 3.11",
        "a: numpy 1.26.4, and here it is 2.4.6",
        "b: no package offers the kind grpc, and here aurea-grpc 2.0 does",
        "c: the kind grpc is from aurea-grpc 1.9, and here from aurea-grpc 2.0",
    ]


def test_many_places_are_counted() -> None:
    others = [replace(SAME, where=f"w{i}", aurea="0.9") for i in range(7)]
    assert find_mismatches(OWN, others, []) == ["w0, w1, w2, w3, w4 and 2 more: Aurea 0.9, and here it is 1.0"]


def test_built_in_kinds_need_no_package() -> None:
    assert choose_foreign(["sleep", "poisson", "grpc", "grpc", "per_second"]) == ["grpc"]
    assert find_own([]).kinds == {}
    assert describe_host(["grpc"])["kinds"] == {}


def workers(*threads: int) -> list[Worker]:
    return [Worker(f"tls://h{k % 2}:{k}", f"h{k % 2}", each) for k, each in enumerate(threads)]


@pytest.mark.parametrize(
    ("threads", "shards", "ports"),
    [
        ((1, 1), 2, [0, 1]),
        ((4, 4), 1, [0]),
        ((1, 3), 4, [0, 1, 1, 1]),
        ((2, 2, 2), 5, [0, 1, 2, 0, 1]),
    ],
)  # fmt: skip
def test_no_worker_has_two_before_each_has_one(threads: tuple[int, ...], shards: int, ports: list[int]) -> None:
    dealt = deal_shards(workers(*threads), shards)
    assert [int(each.address.rpartition(":")[2]) for each in dealt] == ports


@pytest.mark.parametrize(
    ("threads", "told"),
    [((2, 1, 1), "3 workers with 4 threads"), ((1,), "1 worker with 1 thread"), ((), "0 workers with 0 threads")],
)
def test_each_shard_needs_a_thread(threads: tuple[int, ...], told: str) -> None:
    """A task that waits for another would never begin."""
    most = sum(threads)
    with pytest.raises(SpecError, match=rf"must be <= {most} on this cluster, which has {told}:.* got {most + 1}"):
        deal_shards(workers(*threads), most + 1)


def test_shards_of_a_machine_are_counted_together() -> None:
    """Two workers may be of one machine, and share its processors."""
    dealt = deal_shards(workers(1, 1, 1), 3)
    assert [count_on_machine(dealt, each) for each in dealt] == [2, 1, 2]


# On real clusters


def install(folder: Path, name: str, version: str, entry_points: str = "") -> str:
    """What an installed package leaves, so far as its version and what it offers are concerned."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points)
    return str(folder)


class Query(Sleep):
    """A kind that a package offers here."""


@pytest.mark.service
async def test_workers_that_would_not_run_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One has another version of Aurea, one lacks a package: one message, and no shard was begun."""
    other = install(tmp_path / "other", "aurea-orchestrator", "99.1")
    ours = install(tmp_path / "ours", "aurea-query", "2.0", "[aurea.jobs]\nquery = nowhere:Query\n")
    spec = RunSpec(Workload(Query(0.1), jobs=2), seed=1)
    catalog = default_catalog().add("jobs", "query", Query)
    with start_cluster(tmp_path, paths=[other, ""]) as cluster:
        monkeypatch.setenv("PYTHONPATH", ours)
        with pytest.raises(ClusterRefused) as refused:
            await run_on_dask(spec, cluster.address, catalog=catalog)
    text = re.sub(r"tls://127\.0\.0\.1:\d+", "X", f"{refused.value}")
    begin, end = "the Dask cluster at X would not run what runs here: ", ". Install the same on all"
    assert text.startswith(begin)
    assert text.endswith(end)
    assert sorted(text.removeprefix(begin).removesuffix(end).split("; ")) == [
        f"the worker X: Aurea 99.1, and here it is {find_own([]).aurea}",
        "the worker X: no package offers the kind query, and here aurea-query 2.0 does",
    ]


@pytest.mark.service
async def test_certificates_of_a_real_scheduler(tmp_path: Path) -> None:
    """Expired ones, theirs or ours, and ours of another authority. The right one finds that there are no workers."""
    authority = trustme.CA()
    good = make_certificates(tmp_path / "good", authority=authority)
    old = make_certificates(tmp_path / "old", authority=authority, days=-1)
    strange = make_certificates(tmp_path / "strange")
    with start_cluster(tmp_path / "a", paths=[], certificates=good) as cluster:
        for files, told in [
            (old, f"refuses our certificate {old.cert}: it has expired"),
            (
                Certificates(good.ca, strange.cert, strange.key),
                f"refuses our certificate {strange.cert}: it is from another",
            ),
            (strange, f"is not from the authority in {strange.ca}"),
            (good, "has no workers: start some"),
        ]:
            address = replace(cluster.address, ca=files.ca, cert=files.cert, key=files.key)
            with pytest.raises(ClusterRefused, match=re.escape(told)):
                async with open_link(address, []):
                    raise AssertionError("it was taken")
    with (
        start_cluster(tmp_path / "b", paths=[], certificates=good, theirs=old) as cluster,
        pytest.raises(ClusterRefused, match="has expired: give it a new one"),
    ):
        async with open_link(cluster.address, []):
            raise AssertionError("it was taken")
