"""Conversations of people with a model, as ShareGPT has them: their first questions become prompts.

A JSON file: ``[{"conversations": [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi"}]}]``. What else stands
in it is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from aurea_engine.errors import Problem, SpecError
from aurea_engine.targets.chat.prompts.words import estimate_tokens

ASKING, ANSWERING = ("human", "user"), ("gpt", "chatgpt", "assistant", "bing", "bard")
"""What speakers are called."""


class _Said(msgspec.Struct):
    speaker: str = msgspec.field(name="from")
    value: str


class _Conversation(msgspec.Struct):
    conversations: list[_Said]


def read_questions(file: str, text: str) -> Iterator[bytes]:
    """The first question of each conversation that begins with one and its answer, as a prompt in JSON. The answer may be as
    long as that of the conversation, by its words. Raises `SpecError`.
    """
    try:
        conversations = msgspec.json.decode(text, type=list[_Conversation])
    except (msgspec.DecodeError, RecursionError) as error:
        # The message says where, as in `$[17].conversations[0].value`: the file is one line as often as not.
        raise SpecError([Problem("file", f"{file} is no list of conversations: {error}")]) from None
    for conversation in conversations:
        said = conversation.conversations
        if _is_question(said):
            prompt = {"prompt": said[0].value, "max_tokens": estimate_tokens(said[1].value)}
            yield msgspec.json.encode(prompt)


def _is_question(said: Sequence[_Said]) -> bool:
    return len(said) > 1 and said[0].speaker in ASKING and said[1].speaker in ANSWERING and bool(said[0].value.strip())
