//! What commands print: tables as kubectl lays them out, JSON, YAML, names.
//!
//! What it never does: pass on a character that would steer a terminal.

use std::io::Write as _;

use clap::ValueEnum;
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use super::progress;
use crate::codec;
use crate::model::age;
use crate::sensitive::Document;

const COLUMN_GAP: usize = 3;

// The variants have no documentation of their own: clap would make long help of it.

/// How an answer is shown: columns for people, the object itself, or names, one a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Yaml,
    Name,
}

/// How an answer that has no columns is shown: the object itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ObjectFormat {
    Json,
    Yaml,
}

/// Rows below headings. What they hold is wiped: it may be values.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(Zeroizing::new);
        self.rows.push(cells.map(|cell| one_line(&cell)).collect());
    }

    /// Whether there is nothing but headings.
    pub fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// Columns as wide as their widest cell, the last one as it is.
    pub fn text(&self) -> String {
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                let width = cell.chars().count();
                match widths.get_mut(column) {
                    Some(widest) => *widest = width.max(*widest),
                    None => widths.push(width),
                }
            }
        }
        let bytes = |row: &Vec<String>| row.iter().map(String::len).sum::<usize>();
        let padding: usize = widths.iter().map(|width| width + COLUMN_GAP).sum();
        // Room for all of it, so that growing leaves no copy behind.
        let mut text = String::with_capacity(self.rows.iter().map(|row| bytes(row) + padding + 1).sum());
        for row in &self.rows {
            for (cell, width) in row.iter().zip(&widths) {
                text.push_str(cell);
                text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + COLUMN_GAP));
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        text
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.rows.iter_mut().flatten().for_each(Zeroize::zeroize);
    }
}

/// Text of a server's for one cell.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Text of a server's over several lines.
pub fn several_lines(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// The text at `pointer`, or nothing.
pub fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The texts of the list at `pointer`.
pub fn texts_at<'a>(value: &'a Value, pointer: &str) -> Vec<&'a str> {
    list_at(value, pointer).iter().filter_map(Value::as_str).collect()
}

/// The list at `pointer`, or an empty one.
pub fn list_at<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// How long ago an RFC 3339 time is, as `kubectl get` shows it.
pub fn age(time: &str, now_unix_seconds: i64) -> String {
    let since = age::parse_rfc3339(time).map(|then| now_unix_seconds.saturating_sub(then));
    since.map_or_else(|| "<unknown>".to_owned(), age::human_age)
}

/// Prints to standard output. A reader that has gone away is not an error of ours.
pub fn print(text: &str) {
    progress::aside(|| {
        let _ = print_unless_closed(text);
    });
}

/// As [`print()`]; says whether somebody still reads.
pub fn print_unless_closed(text: &str) -> bool {
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).is_ok()
}

/// Prints an object as it is.
#[expect(clippy::disallowed_methods, reason = "the person who asked for the object is shown it")]
pub fn print_object(object: &Document, format: ObjectFormat) {
    let text = match format {
        ObjectFormat::Json => {
            let mut json = Zeroizing::new(codec::json::to_pretty(object.expose()));
            if json.last() != Some(&b'\n') {
                json.push(b'\n');
            }
            Zeroizing::new(String::from_utf8_lossy(&json).into_owned())
        }
        ObjectFormat::Yaml => Zeroizing::new(codec::yaml::to_string(object.expose())),
    };
    print(&text);
}

/// Prints an object in the chosen format; `table` and `names` are asked only where they are needed.
#[expect(clippy::disallowed_methods, reason = "the person who asked for the object is shown it")]
pub fn show(
    object: &Document,
    format: Format,
    table: impl FnOnce(&Value) -> String,
    names: impl FnOnce(&Value) -> Vec<String>,
) {
    match format {
        Format::Table => print(&table(object.expose())),
        Format::Json => print_object(object, ObjectFormat::Json),
        Format::Yaml => print_object(object, ObjectFormat::Yaml),
        Format::Name => {
            let lines: String = names(object.expose()).iter().flat_map(|name| [one_line(name), "\n".into()]).collect();
            print(&lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["NAME", "GROUPS"]);
        assert!(table.is_empty());
        table.row(["ada".into(), String::new()]);
        table.row(["j\u{f6}rg-long".into(), "a,b".into()]);
        assert_eq!(table.text(), "NAME        GROUPS\nada\nj\u{f6}rg-long   a,b\n");
    }

    #[test]
    fn a_cell_cannot_steer_the_terminal() {
        let mut table = Table::new(&["A"]);
        table.row(["x\u{1b}[2J\ny\u{9b}".into()]);
        assert_eq!(table.text(), "A\nx\u{fffd}[2J\u{fffd}y\u{fffd}\n");
        assert_eq!(several_lines("a\nb\r"), "a\nb\u{fffd}");
    }
}
