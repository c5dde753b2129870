//! Docker's times (RFC 3339) as milliseconds since 1970, and the offset of its clock from ours.

use std::time::Duration;

/// Returns the offset of another clock from ours, in milliseconds (positive: ahead). It was asked at `asked_ms`, and
/// answered `took` later with `its_ms`, a time in between (Cristian, "Probabilistic clock synchronization", 1989:
/// half of the duration each way, with an error of half of it at most). An offset within that error is 0.
pub(crate) fn ahead_ms(asked_ms: i64, took: Duration, its_ms: i64) -> i64 {
    let half_ms = i64::try_from(took.as_millis() / 2).unwrap_or(i64::MAX);
    let ahead_ms = its_ms.saturating_sub(asked_ms.saturating_add(half_ms));
    if ahead_ms.saturating_abs() <= half_ms.saturating_add(1) { 0 } else { ahead_ms }
}

/// Parses `2026-11-24T13:41:03.123456789Z`, or a time with an offset such as `+02:00`. Docker reports "never" as the
/// year 1, which is `None`, as is every time before 1970.
#[must_use]
pub(crate) fn parse_ms(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.as_millisecond()).filter(|ms| *ms >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_times_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-24T13:41:03.123456789Z", Some(1_795_527_663_123)),
            ("2026-11-24T15:41:03.1+02:00", Some(1_795_527_663_100)),
            ("2024-02-29T12:00:00-01:30", Some(1_709_213_400_000)),
            ("2000-03-01T00:00:00Z", Some(951_868_800_000)),
            ("0001-01-01T00:00:00Z", None),
            ("9223372036854775807-01-01T00:00:00Z", None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(parse_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn a_clock_is_as_far_ahead_as_it_says_beyond_what_the_way_may_have_taken() {
        let took = Duration::from_millis(200);
        for (its_ms, expected) in [
            (1_050, 0),
            (1_150, 0),
            (1_199, 0),
            (61_100, 60_000),
            (500, -600),
            (i64::MAX, i64::MAX - 1_100),
        ] {
            assert_eq!(ahead_ms(1_000, took, its_ms), expected, "{its_ms}");
        }
    }
}
