"""Parity: what other tools would have reported of the requests of a run, beside our own figures, and why they differ.

The same requests, by the formulas that each tool documents: vLLM's ``bench serve``, aiperf and guidellm. All of them time a
request from when their client sent it; ours from when it was meant to be sent.
"""

from __future__ import annotations

from aurea_engine.results.parity.definitions import DEFINITIONS, TOOLS, Definition, Term, Tool
from aurea_engine.results.parity.requests import Bounds, Pooled, Requests
from aurea_engine.results.parity.table import Parity, ParityRow, make_table, parity

__all__ = [
    "Bounds",
    "DEFINITIONS",
    "Definition",
    "Parity",
    "ParityRow",
    "Pooled",
    "Requests",
    "TOOLS",
    "Term",
    "Tool",
    "make_table",
    "parity",
]
