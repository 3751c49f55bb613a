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
/// Upper bits of a window by which its fingerprints are found.
const BUCKET_BITS: u32 = 12;
/// `\uXXXX\uXXXX`
const ESCAPE_MAX_BYTES: usize = 12;
/// Room for what is decoded, to begin with.
const DECODED_ROOM: usize = 4096;

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
    fingerprints: Vec<Fingerprint>,
    /// Where in them each bucket begins, and after the last one the end.
    buckets: Vec<usize>,
    /// A bit for each window, which most places in a file are not at.
    windows: Vec<u64>,
    /// Bytes of the longest value, as far as it is looked at.
    reach: usize,
    base64: Bytes,
    hex: Bytes,
    url: Bytes,
}

impl<'a> Scanner<'a> {
    /// Of these fingerprints, which were made with this key.
    pub fn new(key: &'a ScanKey, fingerprints: impl IntoIterator<Item = &'a Fingerprint>) -> Self {
        let mut fingerprints: Vec<Fingerprint> = fingerprints.into_iter().cloned().collect();
        fingerprints.sort_by_key(|one| (one.window, one.length));
        let begins = |bucket: usize| fingerprints.partition_point(|one| self::bucket(one.window) < bucket);
        let buckets = (0..=1 << BUCKET_BITS).map(begins).collect();
        let reach = fingerprints.iter().map(|one| one.length).max().unwrap_or_default();
        let mut windows = vec![0; 1 << (SCAN_WINDOW_BITS - WORD_BITS.ilog2())];
        for one in &fingerprints {
            let (word, bit) = place(one.window);
            if let Some(word) = windows.get_mut(word) {
                *word |= bit;
            }
        }
        let base64 = bytes(|byte| decode::base64_digit(byte).is_some());
        let hex = bytes(|byte| decode::hex_digit(byte).is_some());
        Self { key, fingerprints, buckets, windows, reach, base64, hex, url: bytes(is_of_url) }
    }

    /// Every value in the bytes, by line; each once in a line.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Vec<Match> {
        if self.fingerprints.is_empty() {
            return Vec::new();
        }
        let text = Joined::of(bytes);
        let mut search = Search { scanner: self, text: &text, found: Vec::new(), decoded: Zeroizing::default() };
        search.all();
        let mut found = search.found;
        found.sort_unstable();
        found.dedup_by_key(|one| (one.line, one.value));
        found
    }

    fn in_bucket(&self, bucket: usize) -> &[Fingerprint] {
        let bounds = self.buckets.get(bucket).zip(self.buckets.get(bucket + 1));
        bounds.and_then(|(begin, end)| self.fingerprints.get(*begin..*end)).unwrap_or_default()
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
            let mut last: Option<(usize, [u8; 16])> = None;
            for one in self.in_bucket(bucket(window)).iter().filter(|one| one.window == window) {
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

fn bucket(window: u32) -> usize {
    usize::try_from(window >> (SCAN_WINDOW_BITS - BUCKET_BITS)).unwrap_or(usize::MAX)
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
        let has_returns = content.contains(&b'\r');
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            let is_blank = |byte: &&u8| matches!(**byte, b' ' | b'\t');
            // The first line has no line end before it: its indentation counts, as for `join`.
            let indent = if lines.is_empty() { 0 } else { line.iter().take_while(is_blank).count() };
            lines.push(bytes.len());
            let line = line.get(indent..).unwrap_or_default();
            if has_returns {
                decode::join(line, |_, byte| bytes.push(byte));
            } else {
                bytes.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
            }
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
    /// What a part of the file decodes to; used over and over.
    decoded: Zeroizing<Vec<u8>>,
}

impl Search<'_> {
    fn all(&mut self) {
        let (scanner, text, bytes) = (self.scanner, self.text, self.text.bytes.as_slice());
        scanner.each(bytes, |at, value| {
            self.found.push(Match { line: text.line(at), value, encoding: Encoding::Plain });
        });
        for (start, part) in around_escapes(bytes, scanner.reach) {
            self.walked(Encoding::Escaped, part.len(), |emit| decode::unescape(part, emit), |at| start + at);
        }
        for (start, run) in runs(bytes, &scanner.base64, BASE64_MIN_DIGITS) {
            for skipped in 0..4.min(run.len() - BASE64_MIN_DIGITS + 1) {
                let digits = run.get(skipped..).unwrap_or_default();
                let place = |decoded: usize| start + skipped + decoded * 4 / 3;
                self.decoded(Encoding::Base64, digits, |out| decode::base64(digits, out), place);
            }
        }
        for (start, run) in runs(bytes, &scanner.hex, HEX_MIN_DIGITS) {
            for skipped in 0..2.min(run.len() - HEX_MIN_DIGITS + 1) {
                let digits = run.get(skipped..).unwrap_or_default();
                let place = |decoded: usize| start + skipped + decoded * 2;
                self.decoded(Encoding::Hex, digits, |out| decode::hex(digits, out), place);
            }
        }
        if !bytes.contains(&b'%') && !bytes.contains(&b'+') {
            return;
        }
        for (start, run) in runs(bytes, &scanner.url, VALUE_MIN_BYTES) {
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
        let mut raw = std::mem::take(&mut self.decoded);
        raw.clear();
        if raw.capacity() < run.len() {
            // Anew and not grown: what was in it is wiped.
            raw = Zeroizing::new(Vec::with_capacity(run.len().max(DECODED_ROOM)));
        }
        decode(&mut raw);
        if raw.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            self.walked(encoding, raw.len(), |emit| decode::join(&raw, emit), place);
        } else {
            let text = self.text;
            self.scanner.each(&raw, |at, value| {
                self.found.push(Match { line: text.line(place(at)), value, encoding });
            });
        }
        self.decoded = raw;
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

/// The parts of a text in which a value may stand that has an escape in it, as far as `reach` bytes of it go; with where they
/// begin. A value without one stands there as it is.
fn around_escapes(text: &[u8], reach: usize) -> Vec<(usize, &[u8])> {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'\\') {
        // Blanks behind an escaped line end do not count as bytes of the value.
        let behind = text.iter().skip(at + 2).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let (begin, end) = (at.saturating_sub(reach), at + 2 + behind + ESCAPE_MAX_BYTES + reach);
        match parts.last_mut() {
            Some((_, last)) if *last >= begin => *last = end,
            _ => parts.push((begin, end)),
        }
    }
    let cut = |(begin, end): (usize, usize)| Some((begin, text.get(begin..end.min(text.len()))?));
    parts.into_iter().filter_map(cut).collect()
}

/// A set of bytes.
type Bytes = [bool; 256];

fn bytes(is_part: impl Fn(u8) -> bool) -> Bytes {
    std::array::from_fn(|byte| u8::try_from(byte).is_ok_and(&is_part))
}

/// The longest parts of a text that consist of such bytes, with where they begin.
fn runs<'t>(text: &'t [u8], parts: &Bytes, at_least: usize) -> impl Iterator<Item = (usize, &'t [u8])> {
    let is_part = |byte: &u8| parts.get(usize::from(*byte)).is_some_and(|is_part| *is_part);
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            // What must be of a run that begins here is looked at from its end: most of the text is passed over unread.
            let head = text.get(at..at + at_least)?;
            if let Some(other) = head.iter().rposition(|byte| !is_part(byte)) {
                at += other + 1;
                continue;
            }
            let rest = text.get(at..).unwrap_or_default();
            let run = rest.split_at_checked(rest.iter().take_while(|byte| is_part(byte)).count())?.0;
            let start = at;
            at += run.len() + 1;
            return Some((start, run));
        }
    })
}

fn is_of_url(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"'`<>".contains(&byte)
}
