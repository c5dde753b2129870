//! Units as types: bytes, durations, cores, amounts. Their text forms are read and written here
//! and nowhere else.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The reason why a text is not a value of a unit. The compiler reports each with a sentence and a fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// A number without a unit.
    #[error("it needs a unit")]
    NoUnit,
    /// A unit of another tool. Holds the text in our own units.
    #[error("it is written `{0}`")]
    OtherTool(String),
    /// Not a value at all.
    #[error("it cannot be read")]
    Unreadable,
    /// Larger than can be held.
    #[error("it is too large")]
    TooLarge,
}

/// A number of bytes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

const BYTE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Bytes {
    /// Reads `"512MiB"`, `"1.5GiB"`, `"10MB"`.
    ///
    /// # Errors
    /// [`UnitError::NoUnit`] for a bare number; [`UnitError::OtherTool`] for Docker's `512m` and
    /// Kubernetes' `512Mi`, with the same amount in our units.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let value: f64 = number.parse().map_err(|_| UnitError::Unreadable)?;
        if unit.is_empty() {
            return Err(UnitError::NoUnit);
        }
        let Some((_, factor)) = BYTE_UNITS.iter().find(|(name, _)| *name == unit) else {
            // Docker's one-letter units and Kubernetes' `Mi` both mean multiples of 1024.
            let meant =
                match unit.trim_end_matches(['b', 'B', 'i', 'I']).to_ascii_lowercase().as_str() {
                    "k" => "KiB",
                    "m" => "MiB",
                    "g" => "GiB",
                    "t" => "TiB",
                    "" => "B",
                    _ => return Err(UnitError::Unreadable),
                };
            return Err(UnitError::OtherTool(format!("{number}{meant}")));
        };
        let bytes = value * *factor as f64;
        if !(0.0..9.0e15).contains(&bytes) {
            return Err(UnitError::TooLarge);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "range checked above"
        )]
        Ok(Bytes(bytes.round() as u64))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let best = BYTE_UNITS.iter().filter(|(_, factor)| *factor > 1 || self.0 < 1000);
        for (unit, factor) in best {
            if self.0 >= *factor && self.0.is_multiple_of(*factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}B", self.0)
    }
}

/// A duration in milliseconds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

const TIME_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Millis {
    /// Reads `"1h30m"`, `"500ms"`: whole numbers, largest unit first, each unit once.
    ///
    /// # Errors
    /// [`UnitError::NoUnit`] for a bare number, [`UnitError::Unreadable`] for anything else.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(UnitError::NoUnit);
        }
        let mut rest = text;
        let mut total: u64 = 0;
        let mut units = TIME_UNITS.iter();
        while !rest.is_empty() {
            let split = rest.find(|c: char| !c.is_ascii_digit()).ok_or(UnitError::NoUnit)?;
            let (number, tail) = rest.split_at(split);
            let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(end);
            let value: u64 = number.parse().map_err(|_| UnitError::Unreadable)?;
            let (_, factor) = units.find(|(name, _)| *name == unit).ok_or(UnitError::Unreadable)?;
            let part = value.checked_mul(*factor).ok_or(UnitError::TooLarge)?;
            total = total.checked_add(part).ok_or(UnitError::TooLarge)?;
            rest = tail;
        }
        if text.is_empty() {
            Err(UnitError::Unreadable)
        } else if total > 366 * 86_400_000 {
            Err(UnitError::TooLarge)
        } else {
            Ok(Millis(total))
        }
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, factor) in TIME_UNITS {
            if rest >= factor {
                write!(f, "{}{unit}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

/// Processor time in thousandths of a core.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Cpu(pub u32);

impl Cpu {
    /// From a number of cores such as `0.5`; `None` when it is below a thousandth or above 10,000.
    #[must_use]
    pub fn from_cores(cores: f64) -> Option<Self> {
        let milli = (cores * 1000.0).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "range checked"
        )]
        (1.0..=10_000_000.0).contains(&milli).then_some(Cpu(milli as u32))
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1000, self.0 % 1000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A number, or a percentage of a total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// A number.
    Count(u32),
    /// A percentage.
    Percent(u32),
}

impl Amount {
    /// Returns the amount of `whole`, a percent rounded down.
    #[must_use]
    pub fn of(self, whole: u32) -> u32 {
        match self {
            Amount::Count(count) => count,
            Amount::Percent(percent) => {
                let part = u64::from(whole) * u64::from(percent) / 100;
                u32::try_from(part).unwrap_or(u32::MAX)
            }
        }
    }

    /// Returns the amount of `whole`, a percent rounded up.
    #[must_use]
    pub fn of_up(self, whole: u32) -> u32 {
        match self {
            Amount::Count(count) => count,
            Amount::Percent(percent) => {
                let part = (u64::from(whole) * u64::from(percent)).div_ceil(100);
                u32::try_from(part).unwrap_or(u32::MAX)
            }
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Count(count) => write!(f, "{count}"),
            Amount::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_and_written() {
        for (text, bytes) in
            [("512MiB", 512 << 20), ("1.5GiB", 3 << 29), ("10MB", 10_000_000), ("7B", 7)]
        {
            assert_eq!(Bytes::parse(text), Ok(Bytes(bytes)), "{text}");
        }
        for (text, meant) in
            [("512m", "512MiB"), ("512Mi", "512MiB"), ("1g", "1GiB"), ("64kb", "64KiB")]
        {
            assert_eq!(Bytes::parse(text), Err(UnitError::OtherTool(meant.to_owned())), "{text}");
        }
        assert_eq!(Bytes::parse("512"), Err(UnitError::NoUnit));
        assert_eq!(Bytes::parse("lots"), Err(UnitError::Unreadable));
        assert_eq!(Bytes::parse("1e99TiB"), Err(UnitError::Unreadable));
        assert_eq!(Bytes(3 << 29).to_string(), "1536MiB");
        assert_eq!(Bytes(10_000_000).to_string(), "10MB");
        assert_eq!(Bytes(1001).to_string(), "1001B");
        assert_eq!(Bytes(0).to_string(), "0B");
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, millis) in
            [("1h30m", 5_400_000), ("500ms", 500), ("10s", 10_000), ("2d", 172_800_000)]
        {
            assert_eq!(Millis::parse(text), Ok(Millis(millis)), "{text}");
            assert_eq!(Millis(millis).to_string(), text);
        }
        assert_eq!(Millis::parse("10"), Err(UnitError::NoUnit));
        for text in ["", "s", "30m1h", "1.5h", "5 s", "1h1h"] {
            assert_eq!(Millis::parse(text), Err(UnitError::Unreadable), "{text}");
        }
    }

    #[test]
    fn cores_and_amounts() {
        assert_eq!(Cpu::from_cores(0.5).map(|c| c.to_string()), Some("0.5".into()));
        assert_eq!(Cpu::from_cores(12.0).map(|c| c.to_string()), Some("12".into()));
        assert_eq!(Cpu::from_cores(0.0), None);
        assert_eq!(Cpu::from_cores(f64::NAN), None);
        assert_eq!(Amount::Percent(25).of(10), 2);
        assert_eq!(Amount::Percent(1).of(3), 0);
        assert_eq!(Amount::Percent(1).of_up(3), 1);
        assert_eq!(Amount::Count(0).of(3), 0);
    }
}
