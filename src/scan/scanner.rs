//! Looks for values by their fingerprints: at every place of a file, and of what its parts stand for.
//!
//! It is the file that is decoded and not the value that is encoded. Base64 is read from each of the four places at which a
//! group of digits can begin, so a value is found wherever it stands in what was encoded.

use zeroize::Zeroizing;

use super::{Fingerprint, ScanKey, VALUE_MIN_BYTES, decode};
use crate::crypto::SCAN_WINDOW_BITS;

/// Digits that the shortest value takes.
const BASE64_MIN_DIGITS: usize = (VALUE_MIN_BYTES * 8).div_ceil(6);
const HEX_MIN_DIGITS: usize = 2 * VALUE_MIN_BYTES;
const WORD_BITS: u32 = u64::BITS;

/// A form of a value. Of several in one line the first one here is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// As it is, however its lines are broken.
    Plain,
    /// With backslashes, as in JSON's strings.
    Escaped,
    /// Base64 of either alphabet, alone or within a longer text.
    Base64,
    /// Two digits a byte.
    Hex,
    /// `%XX` where a URL needs it.
    UrlEscaped,
}

impl Encoding {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Escaped => "escaped",
            Self::Base64 => "base64",
            Self::Hex => "hex",
            Self::UrlEscaped => "url-escaped",
        }
    }
}

/// A value in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    /// The line in which it begins, from 1.
    pub line: usize,
    /// Which value.
    pub value: usize,
    /// In which form.
    pub encoding: Encoding,
}

/// Looks for values.
pub struct Scanner<'a> {
    key: &'a ScanKey,
    /// By window and length.
    fingerprints: Vec<&'a Fingerprint>,
    /// A bit for each window, which most places in a file are not at.
    windows: Vec<u64>,
}

impl<'a> Scanner<'a> {
    /// Of these fingerprints, which were made with this key.
    pub fn new(key: &'a ScanKey, fingerprints: impl IntoIterator<Item = &'a Fingerprint>) -> Self {
        let mut fingerprints: Vec<&Fingerprint> = fingerprints.into_iter().collect();
        fingerprints.sort_by_key(|one| (one.window, one.length));
        let mut windows = vec![0; 1 << (SCAN_WINDOW_BITS - WORD_BITS.ilog2())];
        for one in &fingerprints {
            let (word, bit) = place(one.window);
            if let Some(word) = windows.get_mut(word) {
                *word |= bit;
            }
        }
        Self { key, fingerprints, windows }
    }

    /// Every value in the bytes, by line; each once in a line.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Vec<Match> {
        if self.fingerprints.is_empty() {
            return Vec::new();
        }
        let text = Joined::of(bytes);
        let mut search = Search { scanner: self, text: &text, found: Vec::new() };
        search.all();
        let mut found = search.found;
        found.sort_unstable();
        found.dedup_by_key(|one| (one.line, one.value));
        found
    }

    /// Calls `hit` with each place at which a value begins, and the value.
    fn each(&self, text: &[u8], mut hit: impl FnMut(usize, usize)) {
        for (at, window) in text.windows(VALUE_MIN_BYTES).enumerate() {
            let Some(window) = window.first_chunk() else { continue };
            let window = self.key.window(window);
            let (word, bit) = place(window);
            if self.windows.get(word).is_none_or(|word| word & bit == 0) {
                continue;
            }
            let first = self.fingerprints.partition_point(|one| one.window < window);
            let mut last: Option<(usize, [u8; 16])> = None;
            for one in self.fingerprints.iter().skip(first).take_while(|one| one.window == window) {
                let Some(covered) = at.checked_add(one.length).and_then(|end| text.get(at..end)) else { break };
                // Values of one length share a MAC.
                let mac = last.filter(|(length, _)| *length == one.length);
                let mac = mac.map_or_else(|| self.key.mac(covered), |(_, mac)| mac);
                last = Some((one.length, mac));
                if mac == one.mac {
                    hit(at, one.value);
                }
            }
        }
    }
}

/// A word of the bits, and the bit in it.
fn place(window: u32) -> (usize, u64) {
    (usize::try_from(window / WORD_BITS).unwrap_or(usize::MAX), 1 << (window % WORD_BITS))
}

/// A file with its lines joined.
struct Joined {
    bytes: Zeroizing<Vec<u8>>,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Joined {
    fn of(content: &[u8]) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(content.len()));
        let mut lines = Vec::new();
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            let is_blank = |byte: &&u8| matches!(**byte, b' ' | b'\t');
            // The first line has no line end before it: its indentation counts, as for `join`.
            let indent = if lines.is_empty() { 0 } else { line.iter().take_while(is_blank).count() };
            lines.push(bytes.len());
            decode::join(line.get(indent..).unwrap_or_default(), |_, byte| bytes.push(byte));
        }
        Self { bytes, lines }
    }

    /// From 1.
    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).max(1)
    }
}

struct Search<'a> {
    scanner: &'a Scanner<'a>,
    text: &'a Joined,
    found: Vec<Match>,
}

impl Search<'_> {
    fn all(&mut self) {
        let (text, bytes) = (self.text, self.text.bytes.as_slice());
        self.scanner.each(bytes, |at, value| {
            self.found.push(Match { line: text.line(at), value, encoding: Encoding::Plain });
        });
        if bytes.contains(&b'\\') {
            self.walked(Encoding::Escaped, bytes.len(), |emit| decode::unescape(bytes, emit), |at| at);
        }
        for (start, run) in runs(bytes, |byte| decode::base64_digit(byte).is_some(), BASE64_MIN_DIGITS) {
            for skipped in 0..4 {
                let digits = run.get(skipped..).unwrap_or_default();
                let place = |decoded: usize| start + skipped + decoded * 4 / 3;
                self.decoded(Encoding::Base64, digits, |out| decode::base64(digits, out), place);
            }
        }
        for (start, run) in runs(bytes, |byte| decode::hex_digit(byte).is_some(), HEX_MIN_DIGITS) {
            for skipped in 0..2 {
                let digits = run.get(skipped..).unwrap_or_default();
                let place = |decoded: usize| start + skipped + decoded * 2;
                self.decoded(Encoding::Hex, digits, |out| decode::hex(digits, out), place);
            }
        }
        for (start, run) in runs(bytes, is_of_url, VALUE_MIN_BYTES) {
            let is_form = run.contains(&b'+');
            if run.contains(&b'%') {
                self.decoded(Encoding::UrlEscaped, run, |out| decode::url(run, false, out), |_| start);
            }
            if is_form {
                self.decoded(Encoding::UrlEscaped, run, |out| decode::url(run, true, out), |_| start);
            }
        }
    }

    /// Looks into what a part of the file decodes to; `place` is where in the file a byte of that comes from.
    fn decoded(
        &mut self,
        encoding: Encoding,
        run: &[u8],
        decode: impl FnOnce(&mut Vec<u8>),
        place: impl Fn(usize) -> usize,
    ) {
        let mut raw = Zeroizing::new(Vec::with_capacity(run.len()));
        decode(&mut raw);
        self.walked(encoding, raw.len(), |emit| decode::join(&raw, emit), place);
    }

    /// Looks into the bytes that `walk` emits, at most `room`; where they come from is asked for in a second walk, if anything is
    /// found.
    fn walked(
        &mut self,
        encoding: Encoding,
        room: usize,
        walk: impl Fn(&mut dyn FnMut(usize, u8)),
        place: impl Fn(usize) -> usize,
    ) {
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        walk(&mut |_, byte| bytes.push(byte));
        let mut hits = Vec::new();
        self.scanner.each(&bytes, |at, value| hits.push((at, value)));
        if hits.is_empty() {
            return;
        }
        let (mut hits, mut number) = (hits.into_iter().peekable(), 0);
        walk(&mut |source, _| {
            while let Some((_, value)) = hits.next_if(|(at, _)| *at == number) {
                self.found.push(Match { line: self.text.line(place(source)), value, encoding });
            }
            number += 1;
        });
    }
}

fn is_of_url(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"'`<>".contains(&byte)
}

/// The longest parts of a text that consist of such bytes, with where they begin.
fn runs(text: &[u8], is_part: impl Fn(u8) -> bool, at_least: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    text.split(move |byte| !is_part(*byte)).filter_map(move |run| {
        let start = at;
        at += run.len() + 1;
        (run.len() >= at_least).then_some((start, run))
    })
}
