//! `--give`: which unit gets which value under which name.

use crate::deliver::{ObjectName, Reference, Requester, UnitPattern};

/// `UNIT/CREDENTIAL=[NAMESPACE/]NAME:KEY`
#[derive(Debug, Clone)]
pub struct GiveOption {
    unit: UnitPattern,
    credential: String,
    secret: Reference,
    key: String,
}

/// One key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The Secret.
    pub object: ObjectName,
    /// Which of its keys.
    pub key: String,
}

impl GiveOption {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || "give UNIT/CREDENTIAL=NAMESPACE/NAME:KEY, such as web.service/password=prod/db:password".to_owned();
        let (asked, reference) = text.split_once('=').ok_or_else(wrong)?;
        let (unit, credential) = asked.rsplit_once('/').ok_or_else(wrong)?;
        let unit = UnitPattern::parse(unit)
            .ok_or_else(|| "the unit is named with its type, such as web.service or web@*.service".to_owned())?;
        // What systemd takes for the name of one.
        let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b':' && byte != b'*';
        if credential.is_empty() || matches!(credential, "." | "..") || !credential.bytes().all(is_name) {
            return Err(wrong());
        }
        let secret = Reference::parse(reference).map_err(|error| error.to_string())?;
        let key = secret.rest.clone().filter(|key| !key.is_empty()).ok_or_else(wrong)?;
        if secret.optional {
            return Err("a credential cannot be optional: give the Secret without ?".to_owned());
        }
        Ok(Self { unit, credential: credential.to_owned(), secret, key })
    }

    /// What `requester` is to get of `options`: an option for this very unit comes before those with a star, then the first.
    pub(super) fn find(options: &[Self], requester: &Requester, namespace: &str) -> Option<Given> {
        let means = |option: &&Self| option.credential == requester.credential && option.unit.means(&requester.unit);
        let exact = options.iter().filter(means).find(|option| option.unit.is_exact());
        let found = exact.or_else(|| options.iter().find(means))?;
        Some(Given { object: found.secret.secret(namespace), key: found.key.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_gets_what_is_meant_for_it() {
        let options: Vec<GiveOption> = [
            "web@*.service/password=prod/db:other",
            "web@a.service/password=db:a=b",
            "web@*.service/token=prod/db:t",
            "*.service/token=prod/db:late",
        ]
        .iter()
        .map(|text| GiveOption::parse(text).unwrap())
        .collect();
        let find = |unit: &str, credential: &str| {
            let requester = Requester { unit: unit.to_owned(), credential: credential.to_owned() };
            let given = GiveOption::find(&options, &requester, "ns")?;
            Some(format!("{}/{}:{}", given.object.namespace, given.object.name, given.key))
        };
        assert_eq!(find("web@a.service", "password").as_deref(), Some("ns/db:a=b"));
        assert_eq!(find("web@b.service", "password").as_deref(), Some("prod/db:other"));
        assert_eq!(find("web@b.service", "token").as_deref(), Some("prod/db:t"));
        assert_eq!(find("x.service", "token").as_deref(), Some("prod/db:late"));
        for (unit, credential) in [("x.service", "password"), ("web@a.service", "pass"), ("web@a.socket", "token")] {
            assert_eq!(find(unit, credential), None, "{unit} {credential}");
        }
    }

    #[test]
    fn what_is_no_grant_is_refused() {
        for text in [
            "",
            "web.service",
            "web.service=db:k",
            "web/p=db:k",
            "web.service/=db:k",
            "web.service/p=db",
            "web.service/p=db:",
            "web.service/p=db?:k",
            "web.service/*=db:k",
            "web.service/..=db:k",
            "/p=db:k",
            "web.service/p q=db:k",
            "a/web.service/p=db:k",
            "web.service/p=DB:k",
        ] {
            assert!(GiveOption::parse(text).is_err(), "{text}");
        }
    }
}
