"""Whether a run may use the targets and secrets that its specification names: checked before it is accepted.

Nothing is resolved or sent for the check. Each kind of job says where it sends (`Job.reach`), at whatever depth of a mix or
a wrapper it stands. What is known only during the run (the addresses of a name, a redirect) is checked when it is dialled,
and fails the job.
"""

from __future__ import annotations

from collections.abc import Iterator

from aurea_engine import Problem, RunSpec, SpecError
from aurea_engine.errors import TARGET_NOT_ALLOWED, TargetRefused
from aurea_engine.fields.hosts import join_host_port
from aurea_engine.targets.addresses import check_target
from aurea_engine.targets.secrets import find_published
from aurea_engine.workload.access import Access, Reach


def check_reach(spec: RunSpec, access: Access) -> None:
    """Raises SpecError with every target, secret and rate that the run may not have."""
    # A job that is only simulated sends nothing. One that cannot be is refused for its target first, as in real time.
    is_virtual = spec.clock == "virtual"
    leaves = [leaf.reach() for leaf in spec.workload.job.leaves() if leaf.real_time_only or not is_virtual]
    reaching = [reach for reach in leaves if reach.targets]
    if not reaching:
        return
    problems = [*_refuse_targets(reaching, access), *_refuse_secrets(reaching, access)]
    problems += _refuse_connections(reaching, access)
    # Where some jobs send nothing, how often the others come is the mix's affair: the run is paced where it sends.
    rate = spec.workload.arrivals.asked_rate()
    if rate is not None and len(reaching) == len(leaves):
        problems += _refuse_rate(rate * min(reach.requests for reach in reaching), access)
    if problems:
        raise SpecError(problems)


def _refuse_targets(reaching: list[Reach], access: Access) -> Iterator[Problem]:
    for host, port in dict.fromkeys(target for reach in reaching for target in reach.targets):
        try:
            check_target(host, port, access)
        except TargetRefused:
            # The same words for each reason: which addresses an operator allows is not told to who is refused.
            yield Problem("workload.job", TARGET_NOT_ALLOWED, ascii(join_host_port(host, port))[1:-1][:300])


def _refuse_secrets(reaching: list[Reach], access: Access) -> Iterator[Problem]:
    for name, host, port in dict.fromkeys(secret for reach in reaching for secret in reach.secrets):
        try:
            find_published(name, host, port, access)
        except SpecError as error:
            yield from (problem._replace(path="workload.job") for problem in error.problems)


def _refuse_connections(reaching: list[Reach], access: Access) -> Iterator[Problem]:
    most = access.most_connections
    if most is None:
        return
    # The engine gives each target of each kind of job an equal share, since their pools know nothing of each other.
    pools = sum(len(reach.targets) for reach in reaching)
    share = most // pools
    asked = max(reach.connections or 1 for reach in reaching)
    if asked > share:
        each = "" if pools == 1 else f", {share:,} for each of {pools:,} targets of its jobs"
        text = f"asks for more connections to targets at once than a run may have on this server: {most:,}{each}"
        yield Problem("workload.job", text, f"{asked:,}")


def _refuse_rate(rate: float, access: Access) -> Iterator[Problem]:
    if access.most_rate is not None and rate > access.most_rate:
        text = f"would send more requests per second than a run may on this server: {access.most_rate:,g}"
        yield Problem("workload.arrivals", text, f"{rate:,g}")
