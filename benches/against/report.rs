//! The table of figures: ours, theirs, their ratio, the target, and whether it is met.

use std::fmt::Write as _;

use crate::figures::Spread;
use crate::load::Figures;

/// One figure.
#[derive(Debug, Clone)]
pub struct Row {
    measure: String,
    unit: Unit,
    ours: Option<f64>,
    bare: Option<f64>,
    openbao: Option<f64>,
    ratio: Option<Spread>,
    target: Option<Target>,
    errors: u64,
}

/// How a figure is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    PerSecond,
    Millis,
    Megabytes,
    MegabytesPerSecond,
    Bytes,
    Ratio,
    /// 1 is yes.
    Yes,
}

/// The demand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    bound: Bound,
    value: f64,
    of: Of,
}

/// On which side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    AtLeast,
    AtMost,
    Below,
}

/// What the demand is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Figure,
    Bare,
    OpenBao,
    /// A figure that is a ratio to something of the server's own.
    Own(&'static str),
}

/// The rounds of the three servers; empty where one is missing.
#[derive(Debug, Default)]
pub struct Rounds {
    /// Strongroom's.
    pub ours: Vec<Figures>,
    /// The bare handler's.
    pub bare: Vec<Figures>,
    /// OpenBao's.
    pub openbao: Vec<Figures>,
}

impl Target {
    /// Not less.
    pub fn at_least(value: f64) -> Self {
        Self { bound: Bound::AtLeast, value, of: Of::Figure }
    }

    /// Not more.
    pub fn at_most(value: f64) -> Self {
        Self { bound: Bound::AtMost, value, of: Of::Figure }
    }

    /// Less.
    pub fn below(value: f64) -> Self {
        Self { bound: Bound::Below, value, of: Of::Figure }
    }

    /// The demand is a multiple of the bare handler's figure.
    pub fn of_bare(self) -> Self {
        Self { of: Of::Bare, ..self }
    }

    /// The demand is a multiple of OpenBao's figure.
    pub fn of_openbao(self) -> Self {
        Self { of: Of::OpenBao, ..self }
    }

    /// The demand is a multiple of another figure of ours.
    pub fn of_own(self, what: &'static str) -> Self {
        Self { of: Of::Own(what), ..self }
    }
}

impl Row {
    /// A figure of ours alone.
    pub fn own(measure: impl Into<String>, unit: Unit, ours: Option<f64>) -> Self {
        Self { measure: measure.into(), unit, ours, bare: None, openbao: None, ratio: None, target: None, errors: 0 }
    }

    /// A figure of the rounds, and its ratio to what the target is about.
    pub fn compared(
        measure: impl Into<String>,
        unit: Unit,
        rounds: &Rounds,
        value: fn(&Figures) -> f64,
        target: Option<Target>,
    ) -> Self {
        let values = |rounds: &[Figures]| rounds.iter().map(value).collect::<Vec<f64>>();
        let (ours, bare, openbao) = (values(&rounds.ours), values(&rounds.bare), values(&rounds.openbao));
        let median = |values: &[f64]| Spread::of(values.iter().copied()).map(|spread| spread.median);
        let ratio = match target.map(|target| target.of) {
            Some(Of::Bare) => Spread::of_ratios(&ours, &bare),
            Some(Of::OpenBao) => Spread::of_ratios(&ours, &openbao),
            _ => None,
        };
        let errors = [&rounds.ours, &rounds.bare, &rounds.openbao].into_iter().flatten().map(|f| f.errors).sum();
        Self {
            measure: measure.into(),
            unit,
            ours: median(&ours),
            bare: median(&bare),
            openbao: median(&openbao),
            ratio,
            target,
            errors,
        }
    }

    /// With a demand.
    pub fn with_target(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    /// With a ratio to something of our own.
    pub fn with_ratio(self, ratio: Option<Spread>) -> Self {
        Self { ratio, ..self }
    }

    /// Whether answers were wrong, so that the figure says nothing.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    fn met(&self) -> &'static str {
        let Some(target) = self.target else { return if self.has_errors() { "errors" } else { "" } };
        let value = match target.of {
            Of::Figure => self.ours,
            Of::Bare | Of::OpenBao | Of::Own(_) => self.ratio.map(|ratio| ratio.median),
        };
        match (value, target.bound) {
            (None, _) => "not measured",
            _ if self.has_errors() => "NO: errors",
            (Some(value), Bound::AtLeast) if value >= target.value => "yes",
            (Some(value), Bound::AtMost) if value <= target.value => "yes",
            (Some(value), Bound::Below) if value < target.value => "yes",
            _ => "NO",
        }
    }

    fn target(&self) -> String {
        let Some(target) = self.target else { return String::new() };
        let sign = match target.bound {
            Bound::AtLeast => "≥",
            Bound::AtMost => "≤",
            Bound::Below => "<",
        };
        match target.of {
            Of::Figure if self.unit == Unit::Yes => show(target.value, self.unit),
            Of::Figure => format!("{sign} {}", show(target.value, self.unit)),
            Of::Bare => format!("{sign} {} × bare", target.value),
            Of::OpenBao => format!("{sign} {} × OpenBao", target.value),
            Of::Own(what) => format!("{sign} {} × {what}", target.value),
        }
    }

    fn cells(&self) -> [String; 7] {
        let figure = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| show(value, self.unit));
        let ratio = match self.ratio {
            Some(Spread { median, least, most }) if (most - least).abs() > f64::EPSILON => {
                format!("{median:.2} ({least:.2}–{most:.2})")
            }
            Some(Spread { median, .. }) => format!("{median:.2}"),
            None => String::new(),
        };
        [
            self.measure.clone(),
            figure(self.ours),
            figure(self.bare),
            figure(self.openbao),
            ratio,
            self.target(),
            self.met().to_owned(),
        ]
    }
}

/// All rows, as a table that is readable as it is and as Markdown.
pub fn table(rows: &[Row]) -> String {
    let head = ["measure", "ours", "bare", "OpenBao", "ratio", "target", "met?"].map(str::to_owned);
    let cells: Vec<[String; 7]> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let widths: Vec<usize> = (0..7)
        .map(|column| {
            cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for (number, row) in cells.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(text, "|{}", "-".repeat(width + 2));
            }
            text.push_str("|\n");
        }
    }
    text
}

/// A figure with its unit. Megabytes are a million bytes.
fn show(value: f64, unit: Unit) -> String {
    match unit {
        Unit::PerSecond => format!("{value:.0}/s"),
        Unit::Millis if value < 10.0 => format!("{value:.3} ms"),
        Unit::Millis => format!("{value:.1} ms"),
        Unit::Megabytes => format!("{:.1} MB", value / 1e6),
        Unit::MegabytesPerSecond => format!("{:.0} MB/s", value / 1e6),
        Unit::Bytes => format!("{value:.0} B"),
        Unit::Ratio => format!("{value:.2}"),
        Unit::Yes => (if value > 0.5 { "yes" } else { "no" }).to_owned(),
    }
}
