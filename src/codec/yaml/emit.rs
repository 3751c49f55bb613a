//! Writes YAML as go-yaml v2's emitter does with the settings of `sigs.k8s.io/yaml`.
//!
//! The state (column, white space, indentation) is the emitter's own, because where a line breaks depends on
//! it. Two deliberate differences, so that what is written reads back the same: text with the line breaks of
//! YAML 1.1 only (U+2028, U+2029) and the text `<<` are put in double quotes.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::resolve;
use crate::codec::{go_text, text::Text};

/// Spaces per level; the sequence under a key is not indented.
const INDENT: usize = 2;
/// A longer key gets the `? ` form.
const MAX_SIMPLE_KEY_BYTES: usize = 128;

/// The document in block style, keys in natural order, with a line break at the end.
#[must_use]
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

/// The same, appended to `out`, which stands at the start of a line.
pub fn write(out: &mut impl Text, value: &Value) {
    let mut emitter = Emitter { out, column: 0, whitespace: true, indention: true };
    emitter.node(value, None, false);
    emitter.break_line(None);
}

struct Emitter<'a, T: Text> {
    out: &'a mut T,
    column: usize,
    /// The last thing written was white space.
    whitespace: bool,
    /// Only indentation and indicators have been written on this line.
    indention: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

/// Indentation of a collection or scalar inside one of `indent`; `None` is the document itself.
fn deeper(indent: Option<usize>) -> usize {
    indent.map_or(0, |column| column + INDENT)
}

impl<T: Text> Emitter<'_, T> {
    fn node(&mut self, value: &Value, indent: Option<usize>, in_map: bool) {
        match value {
            Value::Null => self.plain("null"),
            Value::Bool(true) => self.plain("true"),
            Value::Bool(false) => self.plain("false"),
            Value::Number(number) => match number.as_f64() {
                Some(float) if number.is_f64() => {
                    let text = go_text::whole(float).map_or_else(|| go_text::general_float(float), |n| n.to_string());
                    self.plain(&text);
                }
                _ => self.plain(&number.to_string()),
            },
            Value::String(text) => self.text(text, indent, false),
            Value::Array(list) if list.is_empty() => self.empty("[", "]"),
            Value::Object(map) if map.is_empty() => self.empty("{", "}"),
            Value::Array(list) => {
                let compact = in_map && !self.indention;
                let column = if compact { indent.unwrap_or(0) } else { deeper(indent) };
                for element in list {
                    self.break_line(Some(column));
                    self.indicator("-", true, false, true);
                    self.node(element, Some(column), false);
                }
            }
            Value::Object(map) => {
                let column = deeper(indent);
                for (key, entry) in in_order(map) {
                    self.break_line(Some(column));
                    if key.contains(is_break) || key.len() > MAX_SIMPLE_KEY_BYTES {
                        self.indicator("?", true, false, true);
                        self.text(key, Some(column), false);
                        self.break_line(Some(column));
                        self.indicator(":", true, false, true);
                    } else {
                        self.text(key, Some(column), true);
                        self.indicator(":", false, false, false);
                    }
                    self.node(entry, Some(column), true);
                }
            }
        }
    }

    fn empty(&mut self, open: &str, close: &str) {
        self.indicator(open, true, true, false);
        self.indicator(close, false, false, false);
    }

    /// Starts a line at `indent` unless the current one is still only indentation.
    fn break_line(&mut self, indent: Option<usize>) {
        let column = indent.unwrap_or(0);
        if !self.indention || self.column > column || (self.column == column && !self.whitespace) {
            self.line_break();
        }
        while self.column < column {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &str, after_whitespace: bool, is_whitespace: bool, is_indention: bool) {
        if after_whitespace && !self.whitespace {
            self.put(' ');
        }
        self.put_str(text);
        self.whitespace = is_whitespace;
        self.indention = self.indention && is_indention;
    }

    fn text(&mut self, text: &str, indent: Option<usize>, simple_key: bool) {
        match style(text, simple_key) {
            Style::Plain => self.plain(text),
            Style::SingleQuoted => {
                self.indicator("'", true, false, false);
                for c in text.chars() {
                    if c == '\'' {
                        self.put('\'');
                    }
                    self.put(c);
                }
                self.indicator("'", false, false, false);
            }
            Style::DoubleQuoted => self.double_quoted(text),
            // A scalar of the document itself is indented too.
            Style::Literal => self.literal(text, indent.unwrap_or(0) + INDENT),
        }
    }

    fn plain(&mut self, text: &str) {
        if !self.whitespace {
            self.put(' ');
        }
        self.put_str(text);
        self.whitespace = false;
        self.indention = false;
    }

    fn double_quoted(&mut self, text: &str) {
        // go-yaml looks for the byte-order mark at the start of the text, whatever character it is at.
        let all = text.starts_with('\u{feff}');
        self.indicator("\"", true, false, false);
        for c in text.chars() {
            if !all && is_printable(c) && !matches!(c, '"' | '\\' | '\n') {
                self.put(c);
                continue;
            }
            match c {
                '\0' => self.put_str("\\0"),
                '\u{7}' => self.put_str("\\a"),
                '\u{8}' => self.put_str("\\b"),
                '\t' => self.put_str("\\t"),
                '\n' => self.put_str("\\n"),
                '\u{b}' => self.put_str("\\v"),
                '\u{c}' => self.put_str("\\f"),
                '\r' => self.put_str("\\r"),
                '\u{1b}' => self.put_str("\\e"),
                '"' => self.put_str("\\\""),
                '\\' => self.put_str("\\\\"),
                '\u{85}' => self.put_str("\\N"),
                '\u{a0}' => self.put_str("\\_"),
                '\u{2028}' => self.put_str("\\L"),
                '\u{2029}' => self.put_str("\\P"),
                c => {
                    let code = u32::from(c);
                    let escape = match code {
                        0..=0xff => format!("\\x{code:02X}"),
                        0x100..=0xffff => format!("\\u{code:04X}"),
                        _ => format!("\\U{code:08X}"),
                    };
                    self.put_str(&escape);
                }
            }
        }
        self.indicator("\"", false, false, false);
    }

    fn literal(&mut self, text: &str, column: usize) {
        self.indicator("|", true, false, false);
        if text.starts_with([' ', '\n']) {
            self.indicator("2", false, false, false);
        }
        if !text.ends_with('\n') {
            self.indicator("-", false, false, false);
        } else if text == "\n" || text.ends_with("\n\n") {
            self.indicator("+", false, false, false);
        }
        self.line_break();
        self.indention = true;
        self.whitespace = true;
        let mut at_start = true;
        for c in text.chars() {
            if c == '\n' {
                self.line_break();
                self.indention = true;
                at_start = true;
            } else {
                if at_start {
                    self.break_line(Some(column));
                }
                self.put(c);
                self.indention = false;
                at_start = false;
            }
        }
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn put_str(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }
}

/// What libyaml writes without an escape. Tabs and characters beyond the basic plane are escaped.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// The line breaks of YAML 1.1.
fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn style(text: &str, simple_key: bool) -> Style {
    let Look { plain_allowed, single_quotes_allowed, block_allowed } = look(text);
    if text.contains('\n') {
        return if block_allowed && !simple_key { Style::Literal } else { Style::DoubleQuoted };
    }
    if text == "<<" || !resolve::reads_as_text(text) {
        Style::DoubleQuoted
    } else if plain_allowed {
        Style::Plain
    } else if single_quotes_allowed {
        Style::SingleQuoted
    } else {
        Style::DoubleQuoted
    }
}

/// The styles a text allows.
struct Look {
    plain_allowed: bool,
    single_quotes_allowed: bool,
    block_allowed: bool,
}

fn look(text: &str) -> Look {
    let mut indicators = text.starts_with("---") || text.starts_with("...");
    let mut special = false;
    let mut break_then_space = false;
    let mut space_then_break = false;
    let mut previous = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let before_blank = matches!(chars.peek(), None | Some(' ' | '\t'));
        indicators |= match c {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`'
                if previous.is_none() =>
            {
                true
            }
            '?' | '-' if previous.is_none() => before_blank,
            ':' => before_blank,
            '#' => previous.is_some_and(|c| matches!(c, ' ' | '\t' | '\0') || is_break(c)),
            _ => false,
        };
        special |= !is_printable(c);
        break_then_space |= c == ' ' && previous == Some('\n');
        space_then_break |= c == '\n' && previous == Some(' ');
        previous = Some(c);
    }
    let edged = text.starts_with([' ', '\n']) || text.ends_with([' ', '\n']);
    let quotable = !space_then_break && !special;
    Look {
        plain_allowed: !indicators && !edged && !break_then_space && quotable,
        single_quotes_allowed: !break_then_space && quotable,
        block_allowed: !text.ends_with(' ') && quotable,
    }
}

/// The entries of a map in the order in which they are written: the natural order of keys.
///
/// The order compares numbers inside keys and is not quite transitive, so it is not fit for `sort_by`; a
/// merge sort ends whatever it answers.
#[must_use]
pub fn in_order(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut runs: Vec<Vec<(&String, &Value)>> = map.iter().map(|entry| vec![entry]).collect();
    while runs.len() > 1 {
        let mut merged = Vec::with_capacity(runs.len().div_ceil(2));
        let mut pairs = runs.into_iter();
        while let Some(left) = pairs.next() {
            merged.push(match pairs.next() {
                Some(right) => merge(left, right),
                None => left,
            });
        }
        runs = merged;
    }
    runs.pop().unwrap_or_default()
}

fn merge<'a>(left: Vec<(&'a String, &'a Value)>, right: Vec<(&'a String, &'a Value)>) -> Vec<(&'a String, &'a Value)> {
    let mut out = Vec::with_capacity(left.len() + right.len());
    let mut left = left.into_iter().peekable();
    let mut right = right.into_iter().peekable();
    while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
        let next = if natural_order(b, a) == Ordering::Less { right.next() } else { left.next() };
        out.extend(next);
    }
    out.extend(left);
    out.extend(right);
    out
}

/// go-yaml's order of keys: runs of digits by their number, letters after everything else.
fn natural_order(a: &str, b: &str) -> Ordering {
    let differs = a.char_indices().zip(b.chars()).find(|((_, x), y)| x != y);
    let Some(((at, x), y)) = differs else {
        return a.len().cmp(&b.len());
    };
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let common = a.get(..at).unwrap_or_default();
    // A digit other than zero before a zero makes the zero count.
    let counts =
        (x == '0' || y == '0') && common.chars().rev().take_while(char::is_ascii_digit).any(|digit| digit != '0');
    let number = |text: &str| {
        let start = i64::from(counts);
        let digits = text.get(at..).unwrap_or_default().bytes().take_while(u8::is_ascii_digit);
        digits.fold((start, 0_usize), |(value, length), digit| {
            (value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')), length + 1)
        })
    };
    number(a).cmp(&number(b)).then(x.cmp(&y))
}
