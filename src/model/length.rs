//! Lengths of time as Kubernetes writes them, and days and weeks: `90s`, `1h30m`, `30d`, `2w`.

const SECOND: u64 = 1;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

/// A length of time, in whole seconds, longer than none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length(i64);

impl Length {
    /// Seconds.
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// Reads numbers with units, of which each may stand once, the larger before the smaller.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no length of time: write 90s, 1h30m, 30d or 2w");
        let mut rest = text;
        let mut total: u64 = 0;
        let mut last_unit = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let (number, after) = rest.split_at(digits);
            let unit = match after.chars().next() {
                Some('s') => SECOND,
                Some('m') => MINUTE,
                Some('h') => HOUR,
                Some('d') => DAY,
                Some('w') => WEEK,
                _ => return Err(wrong()),
            };
            if unit >= last_unit {
                return Err(wrong());
            }
            last_unit = unit;
            let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)?;
            total = total.checked_add(seconds).ok_or_else(wrong)?;
            rest = after.get(1..).unwrap_or_default();
        }
        match i64::try_from(total) {
            Ok(seconds) if seconds > 0 => Ok(Self(seconds)),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_kubernetes_writes_them_with_days_and_weeks() {
        for (text, seconds) in [
            ("1s", 1),
            ("90s", 90),
            ("1h30m", 5400),
            ("1h0m5s", 3605),
            ("30d", 2_592_000),
            ("2w", 1_209_600),
            ("1w1d1h1m1s", 694_861),
        ] {
            assert_eq!(Length::parse(text), Ok(Length(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for text in [
            "",
            "0s",
            "5",
            "h",
            "1x",
            "1 h",
            "-1h",
            "+1h",
            "1.5h",
            "1m1h",
            "1h1h",
            "1h5",
            "1ms",
            "1\u{e4}",
            "99999999999999999999s",
            "9999999999999999w",
            "9223372036854775808s",
        ] {
            assert!(Length::parse(text).is_err(), "{text}");
        }
    }
}
