//! Masks known values in a stream of bytes, wherever the stream is cut into pieces.
//!
//! A value is masked as it is, in base64 (whichever of the three ways it falls into the groups of three bytes, in both
//! alphabets), and where it has several lines, each line. Whatever is covered by any of these becomes `***`.
//!
//! What it never does: hold back more than what may be the beginning of a value. It is an automaton after Aho and
//! Corasick: its state is the longest end of the stream that a value could begin with, and just that is held back.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::{Zeroize as _, Zeroizing};

use crate::sensitive::SecretBytes;

/// Shorter values are not masked: they stand in any text by chance.
pub const MASKED_MIN_BYTES: usize = 4;
/// The same for a line of a longer value.
const LINE_MIN_BYTES: usize = 8;
/// The same for base64 that is cut out of other base64.
const INNER_MIN_BYTES: usize = 8;
/// What all forms of all values may have together: each byte of it takes about thirty of memory.
const FORMS_MAX_BYTES: usize = 16 * 1024 * 1024;
/// What may be held besides, so that it need not be given out byte by byte.
const HELD_BYTES: usize = 4096;
const MASK: &[u8] = b"***";
const ROOT: u32 = 0;

/// What is looked for. Made once, used by any number of streams.
pub struct Redactor {
    nodes: Vec<Node>,
    /// The longest form.
    longest: usize,
}

/// A beginning of one form of a value.
#[derive(Default)]
struct Node {
    /// What follows: the byte, and the node of the longer beginning.
    next: Vec<(u8, u32)>,
    /// The longest proper end of this that is a beginning too.
    fallback: u32,
    /// Bytes from the root.
    depth: u32,
    /// The length of the longest form that ends here; 0 where none does.
    covers: u32,
}

/// One stream being masked.
pub struct Redaction {
    redactor: Arc<Redactor>,
    state: u32,
    /// What was read and may be the beginning of a value, and whether each byte is covered already.
    held: Zeroizing<Vec<u8>>,
    covered: VecDeque<bool>,
    /// Whether the mask of what is being covered stands already.
    is_masked: bool,
}

/// The values are too long for it.
#[derive(Debug, thiserror::Error)]
#[error("the values are too long to be looked for in the output: leave out --redact, or choose fewer with --only")]
pub struct TooMuch;

impl Redactor {
    /// Looks for these values.
    #[expect(clippy::disallowed_methods, reason = "the values are what is looked for")]
    pub fn new<'v>(values: impl IntoIterator<Item = &'v SecretBytes>) -> Result<Self, TooMuch> {
        let mut redactor = Self { nodes: vec![Node::default()], longest: 0 };
        let mut total = 0;
        for value in values {
            for form in forms(value.expose()) {
                total += form.len();
                redactor.longest = redactor.longest.max(form.len());
                if total > FORMS_MAX_BYTES {
                    return Err(TooMuch);
                }
                redactor.insert(&form);
            }
        }
        redactor.link();
        Ok(redactor)
    }

    /// Begins a stream.
    #[must_use]
    pub fn stream(self: &Arc<Self>) -> Redaction {
        Redaction {
            redactor: Arc::clone(self),
            state: ROOT,
            // Room for all that is ever held: growing would leave copies behind.
            held: Zeroizing::new(Vec::with_capacity(2 * self.longest + HELD_BYTES + 1)),
            covered: VecDeque::new(),
            is_masked: false,
        }
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(usize::try_from(at).ok()?)
    }

    fn child(&self, at: u32, byte: u8) -> Option<u32> {
        self.node(at)?.next.iter().find(|(next, _)| *next == byte).map(|(_, child)| *child)
    }

    fn insert(&mut self, form: &[u8]) {
        let mut at = ROOT;
        for (byte, depth) in form.iter().zip(1..) {
            if let Some(child) = self.child(at, *byte) {
                at = child;
                continue;
            }
            let Ok(child) = u32::try_from(self.nodes.len()) else { return };
            self.nodes.push(Node { depth, ..Node::default() });
            if let Some(node) = usize::try_from(at).ok().and_then(|at| self.nodes.get_mut(at)) {
                node.next.push((*byte, child));
            }
            at = child;
        }
        if let Some(node) = usize::try_from(at).ok().and_then(|at| self.nodes.get_mut(at)) {
            node.covers = node.depth;
        }
    }

    /// Finds the fallback of each node, the shorter before the longer.
    fn link(&mut self) {
        let mut queue = VecDeque::from([ROOT]);
        while let Some(at) = queue.pop_front() {
            let children = self.node(at).map(|node| node.next.clone()).unwrap_or_default();
            for (byte, child) in children {
                let fallback =
                    if at == ROOT { ROOT } else { self.step(self.node(at).map_or(ROOT, |n| n.fallback), byte) };
                let covers = self.node(fallback).map_or(0, |node| node.covers);
                if let Some(node) = usize::try_from(child).ok().and_then(|child| self.nodes.get_mut(child)) {
                    node.fallback = fallback;
                    node.covers = node.covers.max(covers);
                }
                queue.push_back(child);
            }
        }
    }

    fn step(&self, mut at: u32, byte: u8) -> u32 {
        loop {
            match (self.child(at, byte), at) {
                (Some(child), _) => return child,
                (None, ROOT) => return ROOT,
                (None, _) => at = self.node(at).map_or(ROOT, |node| node.fallback),
            }
        }
    }
}

impl Drop for Redactor {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.next.iter_mut().for_each(|(byte, _)| byte.zeroize());
        }
    }
}

impl Redaction {
    /// Takes the next piece of the stream; appends to `out` what can be shown of it.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for byte in piece {
            self.held.push(*byte);
            self.covered.push_back(false);
            self.state = self.redactor.step(self.state, *byte);
            let (covers, depth) = self.redactor.node(self.state).map_or((0, 0), |node| (node.covers, node.depth));
            let (covers, depth) = (usize::try_from(covers).unwrap_or(0), usize::try_from(depth).unwrap_or(0));
            // From the end, and no further back than what is covered already.
            let last = self.covered.len();
            for at in (last.saturating_sub(covers)..last).rev() {
                match self.covered.get_mut(at) {
                    Some(covered) => *covered = true,
                    None => break,
                }
            }
            // Giving out byte by byte would move the rest each time.
            if self.held.len() > 2 * depth + HELD_BYTES {
                self.give(self.held.len().saturating_sub(depth), out);
            }
        }
        let depth = self.redactor.node(self.state).and_then(|node| usize::try_from(node.depth).ok()).unwrap_or(0);
        self.give(self.held.len().saturating_sub(depth), out);
    }

    /// Goes on with other values; those of now should be among them.
    #[must_use]
    pub fn go_on_with(self, redactor: &Arc<Redactor>, out: &mut Vec<u8>) -> Self {
        let mut next = redactor.stream();
        next.is_masked = self.is_masked;
        next.push(&self.held, out);
        next
    }

    /// The stream has ended: the rest.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.give(self.held.len(), out);
    }

    fn give(&mut self, count: usize, out: &mut Vec<u8>) {
        for (byte, is_covered) in self.held.iter_mut().zip(self.covered.drain(..count)) {
            if !is_covered {
                out.push(*byte);
            } else if !self.is_masked {
                out.extend_from_slice(MASK);
            }
            self.is_masked = is_covered;
            byte.zeroize();
        }
        self.held.drain(..count);
    }
}

/// What of a value is masked.
fn forms(value: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut forms = Vec::new();
    let mut add = |form: Vec<u8>, min: usize| {
        let form = Zeroizing::new(form);
        if form.len() >= min {
            forms.push(form);
        }
    };
    // A value is often stored with a line end that is not shown.
    let text = value.trim_ascii();
    let lines: BTreeSet<&[u8]> = value.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii).collect();
    let trimmed = Some(text).filter(|text| text.len() < value.len());
    for whole in std::iter::once(value).chain(trimmed).filter(|whole| whole.len() >= MASKED_MIN_BYTES) {
        add(whole.to_vec(), MASKED_MIN_BYTES);
        add(STANDARD.encode(whole).into_bytes(), MASKED_MIN_BYTES);
        add(STANDARD_NO_PAD.encode(whole).into_bytes(), MASKED_MIN_BYTES);
        add(URL_SAFE_NO_PAD.encode(whole).into_bytes(), MASKED_MIN_BYTES);
        for before in 0..3 {
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let mut padded = Zeroizing::new(vec![0; before]);
                padded.extend_from_slice(whole);
                let mut encoded = Zeroizing::new(engine.encode(&*padded).into_bytes());
                // The characters that depend on the value alone.
                encoded.truncate((before + whole.len()) * 8 / 6);
                let first = (before * 8).div_ceil(6).min(encoded.len());
                add(encoded.split_off(first), INNER_MIN_BYTES);
            }
        }
    }
    if lines.len() > 1 {
        // The first and last lines of a PEM block are no secret, and stand in many texts.
        for line in lines.into_iter().filter(|line| !line.starts_with(b"-----")) {
            add(line.to_vec(), LINE_MIN_BYTES);
        }
    }
    forms
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
