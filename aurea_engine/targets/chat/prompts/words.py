"""Texts of a length in words, made from a fixed list: the same text for the same key, purpose and number, in any process."""

from __future__ import annotations

from hashlib import shake_128

import numpy as np

# Common English words, which nearly every tokenizer has as one token each with the space before it. There are 256 of them,
# so a byte of a hash is a word. SHAKE (FIPS 202) gives as many bytes as are asked for, and a shorter text is the beginning
# of a longer one: so a block of a prompt can be cut off. Two texts of different numbers agree in their first sixteen words
# with probability 2⁻¹²⁸, and caches of prefixes compare sixteen tokens and more: nothing is cached but what is meant to be.
#
# All words have four letters. So a text is rows of a table, five bytes each, which numpy copies ten times as fast as
# Python joins words: prompts are made on the event loop, while other answers stream.

WORDS = tuple(
    """
able also area army away baby back ball band bank base bath bear beat bell belt best bill bird blow blue boat body
bone book boot born both bowl burn bush busy cake call calm came camp card care case cash cast cell chip city club
coal coat code cold come cook cool copy core corn cost crew crop dark data date dawn days deal dear deep deny desk
dial diet disc does done door down draw drew drop dual dust duty each earn ease east easy edge else even ever exit
face fact fair fall farm fast feed feel feet fell felt file fill film find fine fire firm fish five flat flow food
foot form four free from fuel full fund gain game gate gave gear gift give glad goal goes gold golf gone good gray
grew grow hair half hall hand hard have head hear heat held help here high hill hire hold hole home hope host hour
huge idea inch into iron item join jump just keen keep kind king knee knew know lake land lane last late lead left
less life lift like line link list live load loan lock long look lose loss lost luck made mail main make many mark
mass meal mean meat meet menu mile milk mill mind mine mode mood moon more most move much must name near neck need
news next nice nine none nose note once only onto open over pace pack page paid pair palm park part pass past path
peak pick pink
    """.split()  # noqa: SIM905 - a word a line would be longer than the rest of the package
)

_TABLE = np.frombuffer("".join(f"{word} " for word in WORDS).encode(), "V5")


TOKENS_PER_WORD = 4 / 3
"""OpenAI's rule of thumb for English, where there is no server to ask."""


def estimate_tokens(text: str) -> int:
    """Of a text whose words are known; at least one."""
    return max(1, round(len(text.split()) * TOKENS_PER_WORD))


def make_text(key: bytes, purpose: str, number: int, words: int) -> str:
    """So many ``words``, one space between two of them."""
    seed = b"%b/%b/%d" % (key, purpose.encode(), number)
    rows = np.frombuffer(shake_128(seed).digest(words), np.uint8)
    return _TABLE[rows].tobytes()[:-1].decode("ascii")
