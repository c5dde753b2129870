//! Docker's times (RFC 3339) as milliseconds since 1970, and the offset of its clock from ours.

use std::time::Duration;

/// By how much another clock is ahead of ours, in milliseconds: it was asked at `asked_ms`, answered
/// `took` later, and said `its_ms`, which was somewhere between (Cristian, "Probabilistic clock
/// synchronization", 1989: half of the way each, and wrong by half of it at most). What is within
/// that error is no difference.
pub(crate) fn ahead_ms(asked_ms: i64, took: Duration, its_ms: i64) -> i64 {
    let half_ms = i64::try_from(took.as_millis() / 2).unwrap_or(i64::MAX);
    let ahead_ms = its_ms.saturating_sub(asked_ms.saturating_add(half_ms));
    if ahead_ms.saturating_abs() <= half_ms.saturating_add(1) { 0 } else { ahead_ms }
}

/// Reads `2026-11-24T13:41:03.123456789Z`, or with an offset such as `+02:00`. Docker's way of
/// saying "never" is the year 1, which is `None`.
#[must_use]
pub(crate) fn parse_ms(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let mut date = date.split('-');
    let year: i64 = date.next()?.parse().ok()?;
    let month: i64 = date.next()?.parse().ok()?;
    let day: i64 = date.next()?.parse().ok()?;
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let split = rest.find(['Z', '+', '-'])?;
    let (clock, zone) = rest.split_at(split);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.split(':');
    let hour: i64 = clock.next()?.parse().ok()?;
    let minute: i64 = clock.next()?.parse().ok()?;
    let second: i64 = clock.next()?.parse().ok()?;
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some((seconds - offset_s(zone)?) * 1_000 + millis)
}

fn offset_s(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    Some(sign * (hours.parse::<i64>().ok()? * 3_600 + minutes.parse::<i64>().ok()? * 60))
}

/// Days from 1970-01-01 in the Gregorian calendar, counting years from March so that the leap day
/// is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = (year % 400) * 365 + (year % 400) / 4 - (year % 400) / 100 + of_year;
    (year / 400) * 146_097 + of_era - 719_468
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
