"""A specification as the server handles it once it has been judged: plain data, whatever strategies it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from aurea_engine import Access, Catalog, SpecError, spec_from_dict, spec_to_dict
from aurea_engine.shards.split import Sharding
from aurea_server.runner.reach import check_reach
from aurea_server.settings.limits import Limits, apply_limits, draw_seed, share_limits

MAX_DOCUMENT = 24 * 1024**2
"""Bytes of a whole specification as JSON. As msgpack it may take 2.25 times that (``0.0,`` is nine bytes), and must fit into
a frame; the result has it too. A body of the largest size that can be set stays below it, but for one that is all defaults.
"""


@dataclass(frozen=True)
class Submission:
    """``document``: the whole specification, with every default and the seed. ``foreign``: it runs others' code.
    ``sharding``: in how many processes it is executed, and how often; None for once in one.
    """

    document: dict[str, Any]
    label: str | None
    foreign: bool
    sharding: Sharding | None = None


def check_size(submission: Submission) -> Submission:
    """The same. Raises SpecError if it is too large with all its defaults, whatever the size of the body was."""
    size = len(msgspec.json.encode(submission.document))
    if size > MAX_DOCUMENT:
        raise SpecError(f"takes {size:,} bytes with every default written out, of at most {MAX_DOCUMENT:,}")
    return submission


def judge_built_in(
    document: object, catalog: Catalog, limits: Limits, access: Access, sharding: Sharding | None = None
) -> Submission:
    """The submission of a specification that names built-in kinds only. Raises SpecError."""
    # The seed goes into the document: a specification that is made once more for it would be checked once more, which is
    # a tenth of what a short run costs here.
    if isinstance(document, dict) and document.get("seed") is None:
        document = {**document, "seed": draw_seed()}
    read = spec_from_dict(document, catalog, local=False, data_dir=access.data_dir)
    spec = apply_limits(read, share_limits(limits, sharding))
    check_reach(spec, access)
    if sharding is not None:
        sharding.check(spec)  # what cannot be cut is refused now, and not by the run
    return Submission(spec_to_dict(spec, catalog), spec.label, foreign=False, sharding=sharding)
