"""Go-style durations with days: `30d`, `12h`, `1h30m`."""

import re
from datetime import timedelta

DURATION_PATTERN = r"^([0-9]{1,5}d|[0-9]{1,6}h|[0-9]{1,8}m|[0-9]{1,9}s)+$"
MAX_DURATION = 32
"""Characters. The longest duration that is so written is 1,369 years: subtracted from today it is still a date."""
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_duration(text: str) -> timedelta:
    """Raises ValueError for anything that is not a duration above 0."""
    if len(text) > MAX_DURATION or not re.fullmatch(DURATION_PATTERN, text) or not re.search("[1-9]", text):
        raise ValueError(f"{text!r} is not a duration above 0, such as 30d, 12h or 1h30m")
    return timedelta(seconds=sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"([0-9]+)([dhms])", text)))
