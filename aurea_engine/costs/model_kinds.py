"""The names of the cost models in JSON. The list is written out, so that importing registers nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aurea_engine.costs.cloud_models import ContainerTask, Fleet, InstanceBusy, Packed, Serverless
from aurea_engine.costs.cost_model import Composite, CostModel, Free, PerJob, PerSecond
from aurea_engine.costs.discounts import Discounts
from aurea_engine.costs.fees_and_tiers import FlatPeriod, Tiered
from aurea_engine.costs.sheet_models import Sheet
from aurea_engine.costs.tokens_and_egress import Egress, Tokens

# Sorted, so that help, errors and the OpenAPI document list them in the same order. A proxy, because it is shared.
KINDS: Mapping[str, type[CostModel]] = MappingProxyType(
    {
        "composite": Composite,
        "container_task": ContainerTask,
        "discounts": Discounts,
        "egress": Egress,
        "flat_period": FlatPeriod,
        "fleet": Fleet,
        "free": Free,
        "instance_busy": InstanceBusy,
        "packed": Packed,
        "per_job": PerJob,
        "per_second": PerSecond,
        "serverless": Serverless,
        "sheet": Sheet,
        "tiered": Tiered,
        "tokens": Tokens,
    }
)
"""JSON ``kind`` → cost model."""
