//! `--output`: a table, the object, its name, or what a path into it gives.

use serde_json::Value;
use zeroize::Zeroizing;

use super::output::{Format, ObjectFormat, print, print_object, several_lines, show};
use crate::codec::json_path::JsonPath;
use crate::sensitive::Document;

/// How an answer is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Columns for people.
    Table,
    /// The object.
    Json,
    /// The object.
    Yaml,
    /// `secret/NAME`, one a line.
    Name,
    /// `jsonpath=TEMPLATE`
    JsonPath(JsonPath),
}

impl Shown {
    /// For clap.
    pub fn parse(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("jsonpath=")) {
            ("table", _) => Ok(Self::Table),
            ("json", _) => Ok(Self::Json),
            ("yaml", _) => Ok(Self::Yaml),
            ("name", _) => Ok(Self::Name),
            (_, Some(path)) => JsonPath::parse(path).map(Self::JsonPath).map_err(|error| error.to_string()),
            _ => Err("give table, json, yaml, name or jsonpath=TEMPLATE".to_owned()),
        }
    }

    /// Whether it shows what stands in the object itself.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Json | Self::Yaml | Self::JsonPath(_))
    }

    /// Prints an object; `table` and `names` are asked only where they are needed.
    #[expect(clippy::disallowed_methods, reason = "the person who asked for it is shown it")]
    pub fn show(
        &self,
        object: &Document,
        table: impl FnOnce(&Value) -> String,
        names: impl FnOnce(&Value) -> Vec<String>,
    ) {
        match self {
            Self::Table => show(object, Format::Table, table, names),
            Self::Name => show(object, Format::Name, table, names),
            Self::Json => print_object(object, ObjectFormat::Json),
            Self::Yaml => print_object(object, ObjectFormat::Yaml),
            Self::JsonPath(path) => {
                let given = path.of(object.expose());
                let text = Zeroizing::new(String::from_utf8_lossy(given.expose()).into_owned());
                if std::io::IsTerminal::is_terminal(&std::io::stdout()) {
                    print(&Zeroizing::new(several_lines(&text)));
                } else {
                    print(&text);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_one_of_five() {
        assert_eq!(Shown::parse("name"), Ok(Shown::Name));
        assert!(Shown::parse("jsonpath={.data}").unwrap().is_whole() && !Shown::Table.is_whole());
        assert!(Shown::parse("jsonpath={range .a}").unwrap_err().contains("range is not supported"));
        assert!(Shown::parse("wide").is_err() && Shown::parse("jsonpath").is_err());
    }
}
