//! Moments: how long ago, or when.

pub use crate::config::Length;

/// A moment: a length of time before now, or a time as RFC 3339 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So long ago.
    Ago(Length),
    /// Seconds since the epoch.
    At(i64),
}

impl Moment {
    /// Reads `90m` or `2026-09-21T14:13:20Z`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(unix_seconds) = crate::model::age::parse_rfc3339(text) {
            return Ok(Self::At(unix_seconds));
        }
        Length::parse(text)
            .map(Self::Ago)
            .map_err(|_| format!("{text:?} is no time: write 90m or 7d (so long ago), or 2026-09-21T14:13:20Z"))
    }

    /// Seconds since the epoch.
    pub fn unix_seconds(self, now_unix_seconds: i64) -> i64 {
        match self {
            Self::Ago(length) => now_unix_seconds.saturating_sub(length.seconds()),
            Self::At(unix_seconds) => unix_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_so_long_ago_or_a_time() {
        assert_eq!(Moment::parse("90m").unwrap().unix_seconds(10_000), 4_600);
        assert_eq!(Moment::parse("2026-09-21T14:13:20Z").unwrap().unix_seconds(0), 1_790_000_000);
        assert!(Moment::parse("yesterday").is_err());
    }
}
