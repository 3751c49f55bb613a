//! What the tokens that this server signs say of it: `iss`, by which others know whose they are. And whether there are
//! tokens of service accounts that never end.
//!
//! What this never does: take the address listened on. It may change with every start, and every token would end.

use super::{Advertise, ConfigError, Environment};

/// Where nothing else is said.
const DEFAULT: &str = "https://strongroom.local";
const LONGEST_BYTES: usize = 512;

/// `iss` of every token: an https URL without user, query, fragment or final slash. Changing it ends every token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIssuer(String);

impl Default for TokenIssuer {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

impl TokenIssuer {
    /// `--issuer`, else `STRONGROOM_ISSUER`, else the first address that clients use, else `https://strongroom.local`.
    pub(super) fn resolve(
        flag: Option<String>,
        advertise: &[Advertise],
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let given = match flag {
            Some(text) => Some(("--issuer", text)),
            None => environment.text("STRONGROOM_ISSUER")?.map(|text| ("STRONGROOM_ISSUER", text)),
        };
        match (given, advertise.first()) {
            (Some((setting, text)), _) => Self::parse(setting, text),
            (None, Some(first)) => Ok(Self(format!("https://{first}"))),
            (None, None) => Ok(Self::default()),
        }
    }

    fn parse(setting: &str, text: String) -> Result<Self, ConfigError> {
        let uri: Option<http::Uri> = text.parse().ok();
        let authority = uri.as_ref().and_then(http::Uri::authority);
        let has_host = authority.is_some_and(|authority| !authority.host().is_empty());
        let is_plain = !text.ends_with('/') && !text.contains(['?', '#', '@']) && text.len() <= LONGEST_BYTES;
        if has_host && is_plain && uri.is_some_and(|uri| uri.scheme_str() == Some("https")) {
            Ok(Self(text))
        } else {
            let problem = "give an https URL without user, query, fragment and final slash, for example https://vault.example.com";
            Err(ConfigError::new(setting, problem))
        }
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0
    }
}

/// `--legacy-service-account-tokens`, else `STRONGROOM_LEGACY_SERVICE_ACCOUNT_TOKENS`, else not.
pub(super) fn are_legacy_tokens_on(flag: bool, environment: &Environment) -> Result<bool, ConfigError> {
    Ok(environment.switch("STRONGROOM_LEGACY_SERVICE_ACCOUNT_TOKENS")?.unwrap_or_default() || flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flag: Option<&str>, advertise: &[&str], variables: &[(&str, &str)]) -> Result<String, String> {
        let advertise: Vec<Advertise> =
            advertise.iter().map(|text| Advertise::parse("--advertise", text).unwrap()).collect();
        let issuer = TokenIssuer::resolve(flag.map(str::to_owned), &advertise, &Environment::of(variables));
        issuer.map(|issuer| issuer.url().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_issuer_is_what_is_said_or_where_clients_go_or_a_fixed_name() {
        let variable = [("STRONGROOM_ISSUER", "https://b.example/x")];
        assert_eq!(resolve(Some("https://a.example"), &["c:1"], &variable).unwrap(), "https://a.example");
        assert_eq!(resolve(None, &["c:1"], &variable).unwrap(), "https://b.example/x");
        assert_eq!(resolve(None, &["c.example:443", "d:1"], &[]).unwrap(), "https://c.example:443");
        assert_eq!(resolve(None, &[], &[]).unwrap(), "https://strongroom.local");
    }

    #[test]
    fn tokens_that_never_end_are_there_only_where_somebody_wants_them() {
        let variable = |value| Environment::of(&[("STRONGROOM_LEGACY_SERVICE_ACCOUNT_TOKENS", value)]);
        assert_eq!(are_legacy_tokens_on(false, &Environment::of(&[])), Ok(false));
        assert_eq!(are_legacy_tokens_on(true, &variable("off")), Ok(true), "a flag wins");
        assert_eq!(are_legacy_tokens_on(false, &variable("on")), Ok(true));
        assert_eq!(are_legacy_tokens_on(false, &variable("off")), Ok(false));
        assert!(are_legacy_tokens_on(false, &variable("perhaps")).is_err());
    }

    #[test]
    fn what_is_no_plain_https_url_is_an_error_that_names_the_setting() {
        for wrong in [
            "",
            "a.example",
            "http://a.example",
            "https://",
            "https:///x",
            "https://a.example/",
            "https://a.example?x=1",
            "https://a.example#x",
            "https://u@a.example",
            "https://a example",
        ] {
            let error = resolve(Some(wrong), &[], &[]).unwrap_err();
            assert!(error.starts_with("--issuer: "), "{error}");
        }
        let error = resolve(None, &[], &[("STRONGROOM_ISSUER", "ftp://a")]).unwrap_err();
        assert!(error.starts_with("STRONGROOM_ISSUER: "), "{error}");
    }
}
