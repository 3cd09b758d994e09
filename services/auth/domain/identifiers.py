"""Identifiers: one key for all spellings of an e-mail address or user name, and for those that only look like it.

The key is what is unique, looked up and counted; nothing shows it. It is NFKC in lower case, without what is invisible,
and with each letter of another script that looks like a Latin one replaced by that one: a reduced form of the skeleton
of UTS 39. Two addresses that are plain ASCII never share a key: `paul1@` and `paull@` are two people.
"""

import re
import unicodedata

from services.auth.domain.lookalikes import LOOKALIKES

# Default_Ignorable_Code_Point (UAX 44) as far as an address could hold it: joiners, fillers, variation selectors.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0000-\U000e0fff]"
)
DOTTED_TWICE = re.compile("(?<=[ij])\u0307")  # the dot is there already (UTS 39, 4)
SUBSTITUTES = {ord(letter): plain for plain, letters in LOOKALIKES.items() for letter in letters}


def written(identifier: str) -> str:
    """Return an identifier as it was kept before keys were: without surrounding blanks, in lower case."""
    return identifier.strip().lower()


def key(identifier: str) -> str:
    """Return what stands for an identifier and for everything that looks like it. A key is its own key."""
    text = written(identifier)
    if text.isascii():
        return text
    text = INVISIBLE.sub("", unicodedata.normalize("NFKC", text).lower())
    text = DOTTED_TWICE.sub("", unicodedata.normalize("NFKD", text).translate(SUBSTITUTES))
    return unicodedata.normalize("NFC", text).strip()
