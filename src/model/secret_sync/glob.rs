//! Patterns of names: `*` stands for any number of characters, everything else for itself.

/// One pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Reads one; `None` unless it is what a name can be, with `*` for parts of it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        const MAX: usize = 253;
        let is_of_names = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '*');
        (!text.is_empty() && text.len() <= MAX && text.chars().all(is_of_names)).then(|| Self(text.to_owned()))
    }

    /// Whether a name is meant. Takes time in proportion to pattern times name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else { return rest.is_empty() };
        // The leftmost place of each part leaves the most for those behind it.
        for part in parts {
            let Some((_, behind)) = rest.split_once(part) else { return false };
            rest = behind;
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, expected) in [
            ("team-*", "team-a", true),
            ("team-*", "team-", true),
            ("team-*", "a-team-b", false),
            ("*-prod", "eu-prod", true),
            ("*-prod", "prod", false),
            ("*", "", true),
            ("*", "x", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("kube-system", "kube-system", true),
            ("kube-system", "kube-system2", false),
            ("*a*a*", "aa", true),
            ("*a*a*", "a", false),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
        for wrong in ["", "A", "a/b", "a?"] {
            assert_eq!(Glob::parse(wrong), None, "{wrong}");
        }
    }
}
