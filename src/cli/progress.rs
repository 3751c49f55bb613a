//! How far long work has come: a line on standard error where that is a terminal, once the work has taken a moment.
//!
//! What it never does: appear in a pipe or a file, on a terminal that cannot move its cursor, or stay when the work is done.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shorter work is not worth a line.
const MOMENT: Duration = Duration::from_millis(700);
const TICK: Duration = Duration::from_millis(120);

/// The line that is shown now.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Prints something else: what is shown gives way to it.
pub fn aside(print: impl FnOnce()) {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match shown {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// See the module. One at a time; gone when dropped.
pub struct Progress {
    bar: ProgressBar,
    since: Instant,
    /// The terminal can move its cursor.
    is_possible: bool,
    is_shown: Cell<bool>,
}

impl Progress {
    /// Of so many, where that is known. `what` is what is counted: `files scanned`.
    pub fn of(total: Option<u64>, what: &'static str) -> Self {
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new).with_message(what);
        let template =
            if total.is_some() { "{bar:30} {human_pos}/{human_len} {msg}" } else { "{spinner} {human_pos} {msg}" };
        Self::shown_later(bar, template)
    }

    /// Of something that has no parts: `waiting for shop`.
    pub fn waiting(what: String) -> Self {
        Self::shown_later(ProgressBar::no_length().with_message(what), "{spinner} {msg} ({elapsed})")
    }

    fn shown_later(bar: ProgressBar, template: &str) -> Self {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        // A template that is wrong leaves the usual one.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("#>-"));
        }
        let is_possible = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Self { bar, since: Instant::now(), is_possible, is_shown: Cell::new(false) }
    }

    /// So many more are done.
    pub fn advance(&self, count: u64) {
        self.bar.inc(count);
        self.look();
    }

    /// What is waited for now.
    pub fn say(&self, what: String) {
        self.bar.set_message(what);
        self.look();
    }

    fn look(&self) {
        if self.is_possible && !self.is_shown.get() && self.since.elapsed() >= MOMENT {
            self.is_shown.set(true);
            // Draws nothing where standard error is no terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(TICK);
            *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.bar.clone());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        SHOWN.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.bar.finish_and_clear();
    }
}
