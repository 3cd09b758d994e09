"""Strength: how many guesses a password takes of somebody who knows its owner, English and Portuguese (zxcvbn).

The lists cost 15 MiB and a tenth of a second, once in a process, when the first password is set there; a log-in needs
none of them.
"""

import math
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

LEAST_GUESSES = 10**8  # score 3 of zxcvbn; eight random characters take as many
JUDGED = 48  # characters, of which no more are needed; the work grows with their square
PRODUCT = "alicerce"
MOST_WORDS = 40
MARKS = re.compile("[\u0300-\u036f]")
WORDS = re.compile(r"[^\W_]{3,}")
# Signs that may stand for letters. The estimator tries every combination of what they may stand for, which takes it
# seconds for a dozen of them (github.com/dwolfhub/zxcvbn-python/issues/70): where there are too many, each has one.
SIGNS = str.maketrans("4@8({[<3691!|70$5+%2", "aabcccceggiiltosstxz")
MOST_READINGS = 16
PERSONAL = 100  # who knows the owner begins with these words


class Strength(NamedTuple):
    """About how many guesses a password takes, and whether texts about its owner are a part of it."""

    guesses: float
    is_personal: bool

    @property
    def is_enough(self) -> bool:
        return self.guesses >= LEAST_GUESSES * (PERSONAL if self.is_personal else 1)


def estimate(password: str, personal: Iterable[str | None]) -> Strength:
    """Judge a password by its first characters, and by these texts about its owner."""
    matching, scoring = _estimator()
    text = MARKS.sub("", unicodedata.normalize("NFKD", password[:JUDGED]))[:JUDGED]
    if math.prod(map(len, matching.relevant_l33t_subtable(text, matching.L33T_TABLE).values())) > MOST_READINGS:
        text = text.translate(SIGNS)
    own = {"user_inputs": matching.build_ranked_dict([*_words(personal), PRODUCT])}
    # The estimator's own function would put one person's words where another thread reads them.
    matches = matching.omnimatch(text, matching.RANKED_DICTIONARIES | own)
    result = scoring.most_guessable_match_sequence(text, matches)
    parts = [match.get("matched_word") for match in result["sequence"] if match.get("dictionary_name") in own]
    return Strength(float(result["guesses"]), any(part != PRODUCT for part in parts))


def _words(personal: Iterable[str | None]) -> list[str]:
    words: dict[str, None] = {}
    for text in filter(None, personal):
        plain = MARKS.sub("", unicodedata.normalize("NFKD", text)).lower()
        words |= dict.fromkeys([plain, *WORDS.findall(plain)])
    return list(words)[:MOST_WORDS]


@lru_cache(maxsize=1)
def _estimator() -> tuple[Any, Any]:
    from zxcvbn import matching, scoring  # here, because its lists are large

    portuguese = (Path(__file__).parent / "portuguese.txt").read_text("utf-8").split()
    matching.RANKED_DICTIONARIES["portuguese"] = matching.build_ranked_dict(portuguese)
    return matching, scoring
