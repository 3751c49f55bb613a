//! Ages as `kubectl get` shows them, and the timestamps they are counted from.
//!
//! Never asks for the time. Source: `k8s.io/apimachinery/pkg/util/duration`, RFC 3339.

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// An age of `seconds` in one or two units: `90s`, `3m5s`, `5h`, `2d3h`, `400d`, `9y`.
///
/// An object from the future is `<invalid>`, except for a second, which clocks may differ.
pub fn human_age(seconds: i64) -> String {
    match seconds {
        ..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two_units(seconds, MINUTE, "m", 1, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two_units(seconds, HOUR, "h", MINUTE, "m"),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two_units(seconds, DAY, "d", HOUR, "h"),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two_units(seconds, YEAR, "y", DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

/// Seconds since the Unix epoch of an RFC 3339 time such as `2026-01-02T03:04:05Z`; fractions are cut off.
/// `None` if it is not one.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let well_formed = separators.iter().all(|(index, byte)| text.as_bytes().get(*index) == Some(byte));
    if !well_formed || !text.starts_with(|first: char| first.is_ascii_digit()) || text.contains('[') {
        return None;
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    // Whole seconds below, also before 1970, where the fraction counts towards the epoch.
    Some(time.as_second() - i64::from(time.subsec_nanosecond() < 0))
}

fn two_units(seconds: i64, large: i64, large_name: &str, small: i64, small_name: &str) -> String {
    let rest = seconds % large / small;
    if rest == 0 {
        format!("{}{large_name}", seconds / large)
    } else {
        format!("{}{large_name}{rest}{small_name}", seconds / large)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_shown_as_in_kubernetes() {
        for (seconds, shown) in [
            (i64::MIN, "<invalid>"),
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (599, "9m59s"),
            (600, "10m"),
            (661, "11m"),
            (3 * HOUR - 1, "179m"),
            (3 * HOUR, "3h"),
            (3 * HOUR + 61, "3h1m"),
            (8 * HOUR - 1, "7h59m"),
            (8 * HOUR + 61, "8h"),
            (48 * HOUR - 1, "47h"),
            (2 * DAY, "2d"),
            (2 * DAY + 3 * HOUR, "2d3h"),
            (8 * DAY - 1, "7d23h"),
            (8 * DAY + 5 * HOUR, "8d"),
            (2 * YEAR - 1, "729d"),
            (2 * YEAR, "2y"),
            (2 * YEAR + DAY, "2y1d"),
            (8 * YEAR - 1, "7y364d"),
            (8 * YEAR + 20 * DAY, "8y"),
            (i64::MAX, "292471208677y"),
        ] {
            assert_eq!(human_age(seconds), shown, "{seconds}");
        }
    }

    #[test]
    fn times_become_seconds_since_the_epoch() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-09-21T14:13:20Z", Some(1_790_000_000)),
            ("2026-09-21T16:13:20+02:00", Some(1_790_000_000)),
            ("2026-09-21T14:13:20.999999Z", Some(1_790_000_000)),
            ("1969-12-31T23:59:59.5Z", Some(-1)),
            ("2026-02-30T00:00:00Z", None),
            ("2026-09-21T14:13:20", None),
            ("2026-09-21 14:13:20Z", None),
            ("2026-09-21T14:13:20Z[Europe/Vienna]", None),
            ("2026-09-21", None),
            ("", None),
            ("null", None),
        ] {
            assert_eq!(parse_rfc3339(text), seconds, "{text}");
        }
    }
}
