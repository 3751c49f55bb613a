//! The environment, as a value: settings are tested without touching the process's own.
//!
//! What it never does: implement `Debug`, for a variable may hold a passphrase.

use std::ffi::OsString;
use std::path::PathBuf;

use super::ConfigError;

/// A source of environment variables. A variable that is set but empty counts as not set.
pub struct Environment(Box<Lookup>);

type Lookup = dyn Fn(&str) -> Option<OsString>;

impl Environment {
    /// The variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self(Box::new(|name| std::env::var_os(name)))
    }

    /// Just these variables.
    #[must_use]
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let variables: Vec<(String, OsString)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        Self(Box::new(move |name| variables.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())))
    }

    pub(crate) fn raw(&self, name: &str) -> Option<OsString> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).map(PathBuf::from)
    }

    /// A directory of the XDG Base Directory Specification, which says that a relative one is to be ignored.
    pub(crate) fn absolute_path(&self, name: &str) -> Option<PathBuf> {
        self.path(name).filter(|path| path.is_absolute())
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        self.raw(name)
            .map(|value| value.into_string().map_err(|_| ConfigError::new(name, "is not valid UTF-8")))
            .transpose()
    }

    /// Items separated by commas or blanks.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<String>, ConfigError> {
        let text = self.text(name)?.unwrap_or_default();
        let items = text.split(|c: char| c == ',' || c.is_whitespace());
        Ok(items.filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    pub(crate) fn switch(&self, name: &str) -> Result<Option<bool>, ConfigError> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("1" | "true" | "yes" | "on") => Ok(Some(true)),
            Some("0" | "false" | "no" | "off") => Ok(Some(false)),
            Some(_) => Err(ConfigError::new(name, "say true or false")),
        }
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, ConfigError> {
        let parse = |text: String| text.parse().map_err(|_| ConfigError::new(name, "is not a number in range"));
        self.text(name)?.map(parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_not_set() {
        let environment = Environment::of(&[("A", ""), ("B", "x")]);
        assert!(environment.raw("A").is_none());
        assert_eq!(environment.text("B").unwrap().as_deref(), Some("x"));
    }

    #[test]
    fn a_switch_that_is_neither_on_nor_off_is_an_error() {
        let environment = Environment::of(&[("A", "maybe"), ("B", "off")]);
        assert!(environment.switch("A").is_err());
        assert_eq!(environment.switch("B").unwrap(), Some(false));
        assert_eq!(environment.switch("C").unwrap(), None);
    }
}
