"""The server's own count of tokens. Nothing else counts them: a frame may carry several tokens, or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

UNKNOWN = -1
MOST_TOKENS = 10**9
"""Of one answer. More is no count, and a bill is made of it."""


class Usage(NamedTuple):
    """Tokens of one answer, `UNKNOWN` for what the server does not say.

    ``input``: of the prompt, those included that were ``cached``. ``output``: those of the ``reasoning`` included.
    """

    input: int = UNKNOWN
    cached: int = UNKNOWN
    output: int = UNKNOWN
    reasoning: int = UNKNOWN


NO_USAGE = Usage()

# OpenAI's names first. Servers that speak its interface have others beside or in place of them: `input_tokens` and
# `output_tokens` of its newer interface, `prompt_cache_hit_tokens` of DeepSeek, `cached_tokens` of Moonshot.
_INPUT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details")
_CACHED = ("prompt_cache_hit_tokens", "cached_tokens")


def read_usage(told: Any) -> Usage:
    """The member ``usage`` of a frame or an answer."""
    if not isinstance(told, Mapping):
        return NO_USAGE
    cached = _find(_details(told, _INPUT_DETAILS), ("cached_tokens",))
    return Usage(
        _find(told, _INPUT),
        _find(told, _CACHED) if cached == UNKNOWN else cached,
        _find(told, _OUTPUT),
        _find(_details(told, _OUTPUT_DETAILS), ("reasoning_tokens",)),
    )


def _details(told: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    return next((told[name] for name in names if isinstance(told.get(name), Mapping)), {})


def _find(told: Mapping[str, Any], names: tuple[str, ...]) -> int:
    for name in names:
        count = told.get(name)
        if type(count) is int and 0 <= count <= MOST_TOKENS:
            return count
    return UNKNOWN
