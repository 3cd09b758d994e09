"""What a header is made of."""

import re

Headers = list[tuple[str, str]]

NAMES = 512  # of headers that are remembered: what services say is a fraction of it
# Names and values (RFC 9110, 5.6.2 and 5.5) with what may be in neither between and behind them.
FIELDS = re.compile(r"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+\0[\t\x20-\x7e\x80-\xff]*\n)*\Z")


def are_fields(headers: Headers) -> bool:
    """Whether names and values hold nothing that the next hop could read as something else."""
    text = "".join([f"{name}\0{value}\n" for name, value in headers])
    return text.count("\n") == len(headers) and FIELDS.match(text) is not None


def said(headers: Headers) -> dict[str, str]:
    """What headers say, by their names in lower case; of what is said twice, the last."""
    return {name.lower(): value for name, value in headers}
