//! How long Events are kept.

use std::time::Duration;

use super::{ConfigError, Environment, Length};

const DEFAULT: Duration = Duration::from_hours(1);

/// How long an Event is kept after its last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTtl(Duration);

impl EventTtl {
    /// `--event-ttl`, else `STRONGROOM_EVENT_TTL`, else an hour, as in kube-apiserver.
    pub(super) fn resolve(flag: Option<String>, environment: &Environment) -> Result<Self, ConfigError> {
        let (setting, text) = match flag {
            Some(text) => ("--event-ttl", Some(text)),
            None => ("STRONGROOM_EVENT_TTL", environment.text("STRONGROOM_EVENT_TTL")?),
        };
        let Some(text) = text else { return Ok(Self::default()) };
        let length = Length::parse(&text).map_err(|problem| ConfigError::new(setting, problem))?;
        Ok(Self(Duration::from_secs(length.seconds().unsigned_abs())))
    }

    /// The length of time.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }
}

impl Default for EventTtl {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_given_with_its_unit() {
        let resolve = |flag: Option<&str>, variables: &[(&str, &str)]| {
            EventTtl::resolve(flag.map(str::to_owned), &Environment::of(variables))
        };
        assert_eq!(resolve(None, &[]).unwrap().get().as_secs(), 3_600);
        assert_eq!(resolve(None, &[("STRONGROOM_EVENT_TTL", "2d")]).unwrap().get().as_secs(), 172_800);
        assert_eq!(resolve(Some("1h30m"), &[("STRONGROOM_EVENT_TTL", "2d")]).unwrap().get().as_secs(), 5_400);
        for wrong in ["0s", "60", "soon", ""] {
            let problem = resolve(Some(wrong), &[]).unwrap_err().to_string();
            assert!(problem.starts_with("--event-ttl: "), "{problem}");
        }
    }
}
