"""Texts of a length in words, made from a fixed list: the same text for the same key, purpose and number, in any process."""

from __future__ import annotations

from hashlib import shake_128

# Common English words, which nearly every tokenizer has as one token each with the space before it. There are 256 of them,
# so a byte of a hash is a word. SHAKE (FIPS 202) gives as many bytes as are asked for, and a shorter text is the beginning
# of a longer one: so a block of a prompt can be cut off. Two texts of different numbers agree in their first sixteen words
# with probability 2⁻¹²⁸, and caches of prefixes compare sixteen tokens and more: nothing is cached but what is meant to be.

WORDS = tuple(
    """
able about above after again air all also always am among an and animal answer any are area arm around as ask at away
back bad ball base be bed been before began begin being best better big bird black blue boat body book both box boy
bring brown build but by call came can car care carry change city class clear close cold color come common could
country course cover cross cut dark day deep did differ do does dog done door down draw drive dry during each early
earth ease east eat end enough even ever every example eye face fact fall family far farm fast father feel feet few
field figure fill final find fine fire first fish five floor fly follow food foot for form found four free friend from
front full game gave get girl give go gold good got great green ground group grow had half hand hard has have he head
hear heat heavy help here high hold home horse hot hour house how hundred ice idea if in interest island it just keep
kind king knew know land language large last late laugh lay lead learn leave left less let letter life light like line
list listen little live long look lost lot love low made main make man many map mark may mean measure might mile mind
minute money moon more morning most mother mountain move much music must name near need never new next night no north
note nothing notice now number object of off often
    """.split()  # noqa: SIM905 - a word a line would be longer than the rest of the package
)


TOKENS_PER_WORD = 4 / 3
"""OpenAI's rule of thumb for English, where there is no server to ask."""


def estimate_tokens(text: str) -> int:
    """Of a text whose words are known; at least one."""
    return max(1, round(len(text.split()) * TOKENS_PER_WORD))


def make_text(key: bytes, purpose: str, number: int, words: int) -> str:
    """So many ``words``, one space between two of them."""
    seed = b"%b/%b/%d" % (key, purpose.encode(), number)
    return " ".join(map(WORDS.__getitem__, shake_128(seed).digest(words)))
