//! How long former versions of Secrets are kept, where their Namespace does not say otherwise.

use super::{ConfigError, Environment};
use crate::model::retention::{self, Retention};

/// How many former versions of a Secret are kept, and how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct History(Retention);

impl History {
    /// `--history-limit`, else `STRONGROOM_HISTORY_LIMIT`, else 10; `--history-max-age`, else
    /// `STRONGROOM_HISTORY_MAX_AGE`, else 90 days. `0` of either keeps none.
    pub(super) fn resolve(
        limit: Option<String>,
        max_age: Option<String>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let read = |flag: Option<String>, option: &str, variable: &str| match flag {
            Some(text) => Ok((option.to_owned(), Some(text))),
            None => environment.text(variable).map(|text| (variable.to_owned(), text)),
        };
        let mut kept = Retention::default();
        let (setting, limit) = read(limit, "--history-limit", "STRONGROOM_HISTORY_LIMIT")?;
        if let Some(text) = limit {
            kept.limit = retention::limit(&text).map_err(|problem| ConfigError::new(setting, problem))?;
        }
        let (setting, max_age) = read(max_age, "--history-max-age", "STRONGROOM_HISTORY_MAX_AGE")?;
        if let Some(text) = max_age {
            kept.max_age_seconds = retention::max_age(&text).map_err(|problem| ConfigError::new(setting, problem))?;
        }
        Ok(Self(kept))
    }

    /// What is kept.
    #[must_use]
    pub fn get(self) -> Retention {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_its_variable_and_nothing_is_the_default() {
        let resolve = |limit: Option<&str>, max_age: Option<&str>, variables: &[(&str, &str)]| {
            let history =
                History::resolve(limit.map(str::to_owned), max_age.map(str::to_owned), &Environment::of(variables));
            history.map(|history| (history.get().limit, history.get().max_age_seconds))
        };
        let day = 86_400;
        assert_eq!(resolve(None, None, &[]).unwrap(), (10, 90 * day));
        let set = [("STRONGROOM_HISTORY_LIMIT", "3"), ("STRONGROOM_HISTORY_MAX_AGE", "2d")];
        assert_eq!(resolve(None, None, &set).unwrap(), (3, 2 * day));
        assert_eq!(resolve(Some("0"), Some("1h"), &set).unwrap(), (0, 3_600));
        let problem = resolve(Some("-1"), None, &[]).unwrap_err().to_string();
        assert!(problem.starts_with("--history-limit: "), "{problem}");
        let problem = resolve(None, None, &[("STRONGROOM_HISTORY_MAX_AGE", "soon")]).unwrap_err().to_string();
        assert!(problem.starts_with("STRONGROOM_HISTORY_MAX_AGE: "), "{problem}");
    }
}
