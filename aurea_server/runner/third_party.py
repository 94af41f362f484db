"""In the runner process: other people's strategies are loaded, made and asked here, so that the server never has to.

Whatever they do becomes an answer of this process, or its end; the server has a deadline for either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from aurea_engine import (
    Access,
    JobBatch,
    NeedsRecords,
    Problem,
    SpecError,
    StrategyError,
    Usage,
    cost_from_dict,
    parse_json,
    spec_from_dict,
    spec_to_dict,
)
from aurea_engine.codec.catalog import load_catalog_for
from aurea_engine.codec.specifications import cost_to_dict
from aurea_engine.costs import reprice
from aurea_engine.processes.messages import Failure
from aurea_engine.processes.reasons import explain_failure, name_class
from aurea_engine.records import column_file
from aurea_engine.shards.split import Sharding
from aurea_server.runner.reach import check_reach
from aurea_server.settings.limits import Limits, apply_limits

T = TypeVar("T")
Message = dict[str, Any]


def judge(content: bytes, limits: Limits, access: Access, tell: Callable[[Message], None]) -> Message:
    """The specification in ``content`` (JSON), whole and as plain data, if it can be run here.

    ``tell`` is called when the packages are loaded: from then on a shorter deadline holds.
    """
    try:
        document, _ = Sharding.take_from(parse_json(content))
        catalog = load_catalog_for(document)
        # Loading a package may well take seconds (it may be large); being made and asked may not.
        tell({"loaded": True})
        spec = _build(lambda: spec_from_dict(document, catalog, local=False, data_dir=access.data_dir))
        _build(lambda: check_reach(spec, access))
        return {"judged": spec_to_dict(apply_limits(spec, limits), catalog)}
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer to this request
        return describe_failure(error)


def price_run(body: bytes, usage: Message, records: bytes) -> Message:
    """The cost of a stored run under the model in ``body`` (JSON, one member ``cost``), and that model in full."""
    try:
        document = parse_json(body)
        catalog = load_catalog_for(document)
        model = _build(lambda: cost_from_dict(document["cost"], catalog))
        measured = Usage.from_dict(usage)
        try:
            cost = reprice(measured, model)
        except NeedsRecords:
            # Only now: most models price what was measured, and unpacking a million records takes a second.
            jobs = column_file.decode(records).jobs if records else JobBatch.empty()
            if len(jobs) != measured.run.arrived:  # with keep_jobs false none are kept, and none would cost nothing
                raise
            cost = reprice(measured, model, jobs)
        return {"priced": {"cost": cost.to_dict(), "model": cost_to_dict(model, catalog)}}
    except NeedsRecords as error:
        return describe_failure(SpecError(str(error)))
    except BaseException as error:  # noqa: BLE001 - a user's model
        return describe_failure(error)


def describe_failure(error: BaseException) -> Message:
    """What was raised, as plain data."""
    return {"failure": msgspec.to_builtins(Failure(reason=explain_failure(error)))}


def _build(build: Callable[[], T]) -> T:
    """What ``build`` makes. Where a strategy raises while it is made, the specification is wrong for it: SpecError."""
    try:
        return build()
    except (SpecError, StrategyError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - a third-party strategy
        raise SpecError([Problem("", f"cannot be made: a strategy raised {name_class(error)}")]) from None
