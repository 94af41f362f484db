"""``--objective 'p99 <= 250ms'``: an objective as one writes it in a sentence."""

from __future__ import annotations

import re
from typing import Any

from aurea_engine import Problem, SpecError
from aurea_server.cli.run_options import parse_quantity

_FORM = re.compile(
    r"\s*(?:(?P<mean>mean)|p(?P<percent>[0-9]{1,2}(?:\.[0-9]{1,4})?))?\s*(?P<metric>(?:(?!p[0-9])[a-z][^<>=≤≥]*?)?)"
    r"\s*(?P<sign><=|>=|≤|≥|<|>)\s*(?P<bound>[^<>=≤≥\s][^<>=≤≥]*?)\s*",
    re.IGNORECASE | re.ASCII,
)
EXAMPLES = "'p99 <= 250ms', 'mean service_time <= 10ms', 'failure_ratio <= 0.01', 'throughput >= 400/s'"


def parse_objective(text: str) -> dict[str, Any]:
    """An objective as a specification has it; without a metric it is of the response time. Raises SpecError."""
    # The same words as in `str(Objective)`, so that a line of a report can be given back.
    found = _FORM.fullmatch(text)
    if found is None:
        raise SpecError([Problem("--objective", f"must be such as {EXAMPLES}", ascii(text)[:60])])
    metric = re.sub(r"[ -]+", "_", found["metric"].strip()) if ":" not in found["metric"] else found["metric"].strip()
    if not metric and found["percent"] is None and found["mean"] is None:
        raise SpecError([Problem("--objective", f"must name a figure, such as {EXAMPLES}", ascii(text)[:60])])
    objective: dict[str, Any] = {"metric": metric or "response_time"}
    if found["percent"] is not None:
        # Exactly: a hundredth of the text, which 99.9 / 100 in floating point is not.
        objective["quantile"] = parse_quantity(f"{found['percent']}e-2")
    bound = parse_quantity(found["bound"].replace(" ", ""))
    return objective | {"at_most" if found["sign"] in ("<=", "≤", "<") else "at_least": bound}
