//! How much is logged to stderr.

use super::{ConfigError, Environment};

/// A filter in the syntax of `tracing_subscriber::EnvFilter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// `--log`, else `STRONGROOM_LOG`, else `info`. A bare level is that of our own messages; libraries only warn, and
    /// the Kubernetes client is silent: its failures are returned, and told by who asked.
    pub fn resolve(flag: Option<String>, environment: &Environment) -> Result<Self, ConfigError> {
        let text = match flag {
            Some(text) => Some(text),
            None => environment.text("STRONGROOM_LOG")?,
        };
        let text = text.unwrap_or_else(|| "info".to_owned());
        let level = text.to_ascii_lowercase();
        Ok(match level.as_str() {
            "off" => Self(level),
            "error" | "warn" => Self(format!("{level},kube_client=off")),
            "info" | "debug" | "trace" => Self(format!("warn,kube_client=off,strongroom={level}")),
            _ => Self(text),
        })
    }

    /// The filter's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_about_our_own_messages() {
        let nothing = Environment::of(&[]);
        assert_eq!(LogFilter::resolve(None, &nothing).unwrap().as_str(), "warn,kube_client=off,strongroom=info");
        assert_eq!(
            LogFilter::resolve(Some("DEBUG".into()), &nothing).unwrap().as_str(),
            "warn,kube_client=off,strongroom=debug"
        );
        assert_eq!(LogFilter::resolve(Some("error".into()), &nothing).unwrap().as_str(), "error,kube_client=off");
        let variable = Environment::of(&[("STRONGROOM_LOG", "strongroom::api=debug")]);
        assert_eq!(LogFilter::resolve(None, &variable).unwrap().as_str(), "strongroom::api=debug");
    }
}
