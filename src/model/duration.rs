//! Lengths of time as Go writes them: `2160h`, `90m`, `1h30m`.

use std::time::Duration;

/// What an error says of a text that is none.
pub const LENGTH_OF_TIME: &str = "write a length of time: 90s, 30m, 1h30m";

/// A length of time in hours, minutes and whole seconds; `None` if the text is none, or of more than 64 bits.
pub fn go_duration(text: &str) -> Option<Duration> {
    let (mut seconds, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, behind) = rest.split_at(digits);
        let unit = behind.chars().next()?;
        let factor = match unit {
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = behind.get(1..)?;
    }
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_nothing_else_is() {
        let seconds = |text: &str| go_duration(text).map(|length| length.as_secs());
        assert_eq!(seconds("2160h"), Some(7_776_000));
        assert_eq!(seconds("1h30m5s"), Some(5_405));
        assert_eq!(seconds("2160h0m0s"), Some(7_776_000));
        for wrong in ["90", "h", "-1h", "1d", "1.5h", "99999999999999999999h", "18446744073709551615h", "€"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
