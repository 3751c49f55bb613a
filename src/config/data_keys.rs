//! How old the data key gets.

use std::time::Duration;

use super::{ConfigError, Environment, Length};

const DEFAULT: Duration = Duration::from_hours(90 * 24);

/// After which time there is a new data key; never, if none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataKeyAge(Option<Duration>);

impl DataKeyAge {
    /// There is a new one on demand only.
    pub const NEVER: Self = Self(None);

    /// `--data-key-max-age`, else `STRONGROOM_DATA_KEY_MAX_AGE`, else 90 days; `0` is never.
    pub(super) fn resolve(flag: Option<String>, environment: &Environment) -> Result<Self, ConfigError> {
        let (setting, text) = match flag {
            Some(text) => ("--data-key-max-age", Some(text)),
            None => ("STRONGROOM_DATA_KEY_MAX_AGE", environment.text("STRONGROOM_DATA_KEY_MAX_AGE")?),
        };
        match text.as_deref() {
            None => Ok(Self::default()),
            Some("0") => Ok(Self::NEVER),
            Some(text) => {
                let length = Length::parse(text).map_err(|problem| ConfigError::new(setting, problem))?;
                Ok(Self(Some(Duration::from_secs(length.seconds().unsigned_abs()))))
            }
        }
    }

    /// In seconds.
    #[must_use]
    pub fn seconds(self) -> Option<i64> {
        self.0.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX))
    }
}

impl Default for DataKeyAge {
    fn default() -> Self {
        Self(Some(DEFAULT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_given_with_its_unit_and_nought_is_never() {
        let resolve = |flag: Option<&str>, variables: &[(&str, &str)]| {
            DataKeyAge::resolve(flag.map(str::to_owned), &Environment::of(variables))
        };
        assert_eq!(resolve(None, &[]).unwrap().seconds(), Some(7_776_000));
        assert_eq!(resolve(None, &[("STRONGROOM_DATA_KEY_MAX_AGE", "30d")]).unwrap().seconds(), Some(2_592_000));
        assert_eq!(resolve(Some("0"), &[("STRONGROOM_DATA_KEY_MAX_AGE", "30d")]).unwrap().seconds(), None);
        let problem = resolve(Some("soon"), &[]).unwrap_err().to_string();
        assert!(problem.starts_with("--data-key-max-age: "), "{problem}");
    }
}
