from datetime import UTC, datetime, timedelta

import pytest

from tuneloop_contracts.durations import MAX_DURATION, parse_duration

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(("text", "want"), [("30d", timedelta(days=30)), ("1h30m", timedelta(minutes=90)), ("10s", timedelta(seconds=10))])
def test_durations(text: str, want: timedelta) -> None:
    assert parse_duration(text) == want


def test_the_longest_duration_before_today_is_still_a_date() -> None:
    longest = "99999d" * (MAX_DURATION // 6)
    assert NOW - parse_duration(longest) < NOW


@pytest.mark.parametrize("text", ["", "0d", "-1d", "1", "d", "1w", "1.5h", "1d ", "1d\n", "250ms", "00h0m", "1000000d", "30d" * 11])
def test_what_is_no_duration_above_zero_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration above 0"):
        parse_duration(text)
