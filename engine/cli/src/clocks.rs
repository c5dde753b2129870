//! The clocks of this machine, which detect changes of the system time.

use std::fs;
use std::io::Read as _;

use tally_reconcile::memory::Clocks;

/// Maximum number of bytes read of a file.
const MOST: u64 = 256;

/// Returns the clocks now, if the monotonic clock can be read (on Linux: the time since boot, sleep included).
/// `now_ms` is the clock of remembered times.
#[must_use]
pub fn clocks(now_ms: i64) -> Option<Clocks> {
    let boot = read("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
    let steady_ms = millis(&read("/proc/uptime")?)?;
    Some(Clocks { now_ms, steady_ms, boot })
}

fn read(path: &str) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(MOST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Returns the seconds at the start of a text, `350735.47 234388.90`, in milliseconds.
fn millis(text: &str) -> Option<i64> {
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    let millis = (seconds * 1_000.0).round();
    // A million years.
    (0.0..=3e16).contains(&millis).then_some(millis as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seconds_since_the_start_are_read() {
        assert_eq!(millis("350735.47 234388.90\n"), Some(350_735_470));
        for text in ["", "x", "-1 2", "inf 1", "NaN"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
