//! Who asks for a credential over a Unix socket, as systemd says it of itself (systemd.exec(5), `LoadCredential=`).
//!
//! It connects from an abstract address of its own, `RANDOM/unit/UNIT/CREDENTIAL`, with RANDOM in hexadecimal digits. Anybody
//! may choose such an address: it says what is wanted, and not that the caller is systemd.

/// What is asked for, and by which unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// `web.service`
    pub unit: String,
    /// The name of the credential, as the unit knows it.
    pub credential: String,
}

impl Requester {
    /// Reads the address, without the zero byte before it.
    #[must_use]
    pub fn of_address(address: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(address).ok()?.splitn(4, '/');
        let random = parts.next()?;
        let is_random = !random.is_empty() && random.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (kind, unit, credential) = (parts.next()?, parts.next()?, parts.next()?);
        let is_right = is_random && kind == "unit" && !unit.is_empty() && !credential.is_empty();
        // Neither name may hold one.
        (is_right && !credential.contains('/'))
            .then(|| Self { unit: unit.to_owned(), credential: credential.to_owned() })
    }
}

/// The name of a unit, in which one `*` stands for anything, as in `web@*.service`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitPattern {
    first: String,
    /// What follows the `*`; `None` where there is none.
    last: Option<String>,
}

impl UnitPattern {
    /// Reads one; `None` of what no unit can be called (systemd.unit(5)).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
        let (first, last) = match text.split_once('*') {
            Some((first, last)) => (first, Some(last)),
            None => (text, None),
        };
        let whole = last.unwrap_or(first);
        let has_type = whole.rsplit_once('.').is_some_and(|(_, kind)| !kind.is_empty());
        let is_right = has_type && first.bytes().chain(last.unwrap_or_default().bytes()).all(is_plain);
        is_right.then(|| Self { first: first.to_owned(), last: last.map(str::to_owned) })
    }

    /// Whether it means this unit.
    #[must_use]
    pub fn means(&self, unit: &str) -> bool {
        match &self.last {
            None => self.first == unit,
            Some(last) => unit.strip_prefix(self.first.as_str()).is_some_and(|rest| rest.ends_with(last.as_str())),
        }
    }

    /// Whether it means one unit alone.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.last.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_which_unit_wants_what() {
        let read = |address: &[u8]| {
            Requester::of_address(address).map(|read| format!("{} wants {}", read.unit, read.credential))
        };
        for (address, expected) in [
            ("adf9d86b6eda275e/unit/foobar.service/credx", "foobar.service wants credx"),
            ("0/unit/web@a\\x2db.service/db.password", "web@a\\x2db.service wants db.password"),
        ] {
            assert_eq!(read(address.as_bytes()).as_deref(), Some(expected));
        }
        for address in [
            "",
            "/",
            "a",
            "a/unit",
            "a/unit/b",
            "a/unit/b/",
            "a/unit//c",
            "/unit/b/c",
            "g/unit/b/c",
            "a/units/b/c",
            "a/unit/b/c/d",
            "a/unit/b//c",
            "\0a/unit/b/c",
            "/a/unit/b/c",
        ] {
            assert_eq!(read(address.as_bytes()), None, "{address:?}");
        }
        assert_eq!(read(b"a/unit/b/\xff"), None);
    }

    #[test]
    fn a_star_stands_for_anything_once() {
        for (pattern, units, others) in [
            ("web.service", &["web.service"][..], &["web.service2", "aweb.service", "web_service", ""][..]),
            ("web@*.service", &["web@a.service", "web@.service", "web@a.b.service"], &["web@a.socket", "web.service"]),
            ("*.service", &["a.service", ".service"], &["a.socket"]),
        ] {
            let pattern = UnitPattern::parse(pattern).unwrap();
            for unit in units {
                assert!(pattern.means(unit), "{pattern:?} {unit}");
            }
            for unit in others {
                assert!(!pattern.means(unit), "{pattern:?} {unit}");
            }
        }
        // What is before the star and what is behind it do not overlap.
        assert!(!UnitPattern::parse("a.s*.s").unwrap().means("a.s"));
        for text in ["", "web", "*", "web.", "a/b.service", "a b.service", "web@*", "a*b*.service", "web\n.service"] {
            assert_eq!(UnitPattern::parse(text), None, "{text:?}");
        }
    }
}
