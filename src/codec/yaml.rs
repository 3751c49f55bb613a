//! YAML as `sigs.k8s.io/yaml` reads and writes it on the way from and to JSON.
//!
//! Reading: one document of YAML 1.1's types (`yes` is a boolean, `017` is fifteen, a timestamp stays text),
//! keys become text, the last of several equal keys wins and is reported with its line. Anchors, depth and
//! the number of values are bounded. Writing: block style with sorted keys, as `kubectl get -o yaml` shows
//! it. Errors never quote the body.

mod emit;
mod lines;
mod resolve;

use std::{collections::HashMap, fmt};

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Tag};

use self::resolve::Scalar;
use super::report::{MAX_DEPTH, MAX_NODES, ParseError, Syntax, bounded, has_room};
use crate::model::field_error::go_quote;

pub use self::emit::{in_order, to_string, write};
pub use self::lines::{Lines, lines, segment};

/// Bytes of text that aliases may copy, so that a small body cannot become a large document.
const MAX_ALIASED_BYTES: usize = 4 << 20;

/// A body that is YAML.
pub struct ParsedYaml {
    /// The document; `Null` for an empty body. Keys are sorted, as after Kubernetes' conversion to JSON.
    pub value: Value,
    /// Keys that were set more than once, in document order. At most 100.
    pub duplicates: Vec<DuplicateKey>,
}

/// A key that was already set in its map. `Display` is go-yaml's sentence:
/// `line 4: key "foo" already set in map`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateKey {
    /// Line of the value that was set again, from 1.
    pub line: usize,
    /// The key as text.
    pub key: String,
    /// Go quotes text but not numbers and booleans.
    is_text: bool,
}

impl fmt::Display for DuplicateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.is_text { go_quote(&self.key) } else { self.key.clone() };
        write!(f, "line {}: key {key} already set in map", self.line)
    }
}

/// Reads the one document of a body.
pub fn parse(body: &[u8]) -> Result<ParsedYaml, ParseError> {
    let tree = Tree::read(text_of(body)?, false)?;
    let mut conversion = Conversion::of(&tree, true);
    let value = match tree.roots.first() {
        Some(&root) => conversion.value(root, 0, false)?,
        None => Value::Null,
    };
    Ok(ParsedYaml { value, duplicates: conversion.duplicates })
}

/// Reads every document of a file; unlike [`parse`], keys stay in the order in which they are written.
pub fn parse_all(body: &[u8]) -> Result<Vec<ParsedYaml>, ParseError> {
    let tree = Tree::read(text_of(body)?, true)?;
    let mut conversion = Conversion::of(&tree, false);
    let mut documents = Vec::with_capacity(tree.roots.len());
    for &root in &tree.roots {
        let value = conversion.value(root, 0, false)?;
        documents.push(ParsedYaml { value, duplicates: std::mem::take(&mut conversion.duplicates) });
    }
    Ok(documents)
}

fn text_of(body: &[u8]) -> Result<&str, ParseError> {
    let text = std::str::from_utf8(body).map_err(|_| refusal(0, "invalid leading UTF-8 octet"))?;
    if text.chars().any(|c| !is_allowed(c)) {
        return Err(refusal(0, "control characters are not allowed"));
    }
    Ok(text)
}

fn refusal(line: usize, class: &'static str) -> ParseError {
    ParseError { class, line, column: 0, syntax: Syntax::Yaml }
}

/// The characters that libyaml reads.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

/// A scanner error as go-yaml words it, less the names that it quotes.
fn scan_error(error: &ScanError) -> ParseError {
    let class = match error.kind() {
        ErrorKind::RecursionLimitExceeded => "exceeded max depth",
        ErrorKind::UnknownAnchor => "unknown anchor referenced",
        ErrorKind::ExpectedBlockMappingKey => "did not find expected key",
        ErrorKind::ExpectedBlockSequenceEntry => "did not find expected '-' indicator",
        ErrorKind::ExpectedNodeContent => "did not find expected node content",
        ErrorKind::ExpectedFlowMappingSeparator => "did not find expected ',' or '}'",
        ErrorKind::ExpectedFlowSequenceSeparator => "did not find expected ',' or ']'",
        ErrorKind::ExpectedDocumentStart => "did not find expected <document start>",
        ErrorKind::MappingValueNotAllowed => "mapping values are not allowed in this context",
        ErrorKind::MappingKeyNotAllowed => "mapping keys are not allowed in this context",
        ErrorKind::BlockSequenceEntryNotAllowed => "block sequence entries are not allowed in this context",
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => "could not find expected ':'",
        ErrorKind::UnknownQuotedScalarEscape => "found unknown escape character",
        ErrorKind::UndeclaredTagHandle => "found undefined tag handle",
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEof
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofBlockSequence
        | ErrorKind::UnexpectedEofBlockMapping => "found unexpected end of stream",
        ErrorKind::UnexpectedCharacter { .. }
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation => "found character that cannot start any token",
        _ => "invalid YAML",
    };
    let marker = error.marker();
    ParseError { class, line: marker.line(), column: marker.col() + 1, syntax: Syntax::Yaml }
}

/// Index of a node in its tree.
type NodeId = usize;

struct Node<'a> {
    line: usize,
    content: Content<'a>,
}

enum Content<'a> {
    Scalar {
        resolved: Scalar<'a>,
        /// The plain `<<`.
        merge: bool,
    },
    List(Vec<NodeId>),
    /// Keys and values in turn.
    Map(Vec<NodeId>),
    Alias(NodeId),
}

/// The document as written: aliases are not followed, equal keys are all there.
#[derive(Default)]
struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    /// One for each document.
    roots: Vec<NodeId>,
}

impl<'a> Tree<'a> {
    fn read(text: &'a str, several: bool) -> Result<Self, ParseError> {
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.emit_anchor_events = true;
        options.block_scalar_eof_without_line_feed = true;
        options.flow_nesting_limit = MAX_DEPTH;
        options.block_nesting_limit = MAX_DEPTH;
        let mut tree = Self::default();
        let mut open: Vec<NodeId> = Vec::new();
        let mut anchors: HashMap<usize, NodeId> = HashMap::new();
        let mut documents = 0;
        let mut last_line = 1;
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| scan_error(&error))?;
            let line = match event {
                // A block scalar's own span starts after its header, which is on the line of its key.
                Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..) => last_line,
                _ => span.tag_start.unwrap_or(span.start).line(),
            };
            last_line = span.end.line();
            let (content, anchor) = match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    // An anchor holds in its document only.
                    anchors.clear();
                    if documents > 1 && !several {
                        return Err(refusal(line, "expected a single document"));
                    }
                    continue;
                }
                // A node starts where its anchor does.
                Event::Anchor(..) => {
                    if let Some(node) = tree.nodes.last_mut() {
                        node.line = node.line.min(line);
                    }
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                    continue;
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let tag = tag.as_deref().and_then(tag_name);
                    let plain = style == ScalarStyle::Plain && tag.is_none();
                    let merge = text == "<<" && (plain || tag.as_deref() == Some("!!merge"));
                    let resolved =
                        resolve::scalar(text, plain, tag.as_deref()).map_err(|class| refusal(line, class))?;
                    (Content::Scalar { resolved, merge }, anchor)
                }
                Event::SequenceStart(_, anchor, _) => (Content::List(Vec::new()), anchor),
                Event::MappingStart(_, anchor, _) => (Content::Map(Vec::new()), anchor),
                Event::Alias(anchor) => match anchors.get(&anchor) {
                    Some(target) if open.contains(target) => {
                        return Err(refusal(line, "anchor value contains itself"));
                    }
                    Some(&target) => (Content::Alias(target), 0),
                    None => return Err(refusal(line, "unknown anchor referenced")),
                },
                _ => continue,
            };
            if tree.nodes.len() >= MAX_NODES {
                return Err(refusal(line, "too many values"));
            }
            let collection = matches!(content, Content::List(_) | Content::Map(_));
            let id = tree.add(Node { line, content }, open.last().copied());
            if anchor != 0 {
                anchors.insert(anchor, id);
            }
            if collection {
                open.push(id);
            }
        }
        Ok(tree)
    }

    fn add(&mut self, node: Node<'a>, parent: Option<NodeId>) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(node);
        match parent.and_then(|parent| self.nodes.get_mut(parent)) {
            Some(Node { content: Content::List(children) | Content::Map(children), .. }) => children.push(id),
            _ => self.roots.push(id),
        }
        id
    }

    /// The content of a node; a node that is not there is empty.
    fn content(&self, id: NodeId) -> &Content<'a> {
        const NOTHING: &Content<'static> = &Content::Scalar { resolved: Scalar::Null, merge: false };
        self.nodes.get(id).map_or(NOTHING, |node| &node.content)
    }

    fn line(&self, id: NodeId) -> usize {
        self.nodes.get(id).map_or(0, |node| node.line)
    }

    /// The node that an alias stands for.
    fn target(&self, id: NodeId) -> NodeId {
        match self.content(id) {
            Content::Alias(target) => *target,
            _ => id,
        }
    }
}

/// A tag in short form: `!!int`, `!`, `!mine`.
fn tag_name(tag: &Tag) -> Option<String> {
    let name = match tag.core_suffix() {
        Some(suffix) => format!("!!{suffix}"),
        None => tag.original(),
    };
    (!name.is_empty()).then_some(name)
}

/// Turns the tree into JSON, following aliases and merges.
struct Conversion<'a> {
    tree: &'a Tree<'a>,
    sorted: bool,
    nodes: usize,
    aliased_bytes: usize,
    duplicates: Vec<DuplicateKey>,
}

impl<'a> Conversion<'a> {
    fn of(tree: &'a Tree<'a>, sorted: bool) -> Self {
        Self { tree, sorted, nodes: 0, aliased_bytes: 0, duplicates: Vec::new() }
    }

    fn enter(&mut self, id: NodeId, depth: usize) -> Result<(), ParseError> {
        self.nodes += 1;
        if depth > MAX_DEPTH {
            return Err(refusal(self.tree.line(id), "exceeded max depth"));
        }
        if self.nodes > MAX_NODES || self.aliased_bytes > MAX_ALIASED_BYTES {
            return Err(refusal(self.tree.line(id), "document contains excessive aliasing"));
        }
        Ok(())
    }

    fn value(&mut self, id: NodeId, depth: usize, aliased: bool) -> Result<Value, ParseError> {
        self.enter(id, depth)?;
        let tree = self.tree;
        match tree.content(id) {
            Content::Scalar { resolved, .. } => {
                if let (true, Scalar::Text(text)) = (aliased, resolved) {
                    self.aliased_bytes += text.len();
                }
                resolved.to_json().map_err(|class| refusal(tree.line(id), class))
            }
            Content::Alias(target) => self.value(*target, depth + 1, true),
            Content::List(children) => {
                children.iter().map(|&child| self.value(child, depth + 1, aliased)).collect::<Result<_, _>>()
            }
            Content::Map(children) => {
                let mut map = Map::new();
                self.entries(id, children, &mut map, depth, aliased)?;
                if self.sorted {
                    map.sort_keys();
                }
                Ok(Value::Object(map))
            }
        }
    }

    /// Sets the entries of a map in the order in which they are written.
    fn entries(
        &mut self,
        id: NodeId,
        children: &[NodeId],
        out: &mut Map<String, Value>,
        depth: usize,
        aliased: bool,
    ) -> Result<(), ParseError> {
        self.enter(id, depth)?;
        for pair in children.chunks_exact(2) {
            let &[key, value] = pair else { continue };
            if matches!(self.tree.content(key), Content::Scalar { merge: true, .. }) {
                self.merge(value, out, depth + 1, aliased)?;
                continue;
            }
            let target = self.tree.target(key);
            let (name, is_text) = match self.tree.content(target) {
                Content::Scalar { resolved, .. } => {
                    let name = resolved.to_key().map_err(|class| refusal(self.tree.line(key), class))?;
                    (name, matches!(resolved, Scalar::Text(_)))
                }
                _ => return Err(refusal(self.tree.line(key), "invalid map key")),
            };
            if aliased || target != key {
                self.aliased_bytes += name.len();
            }
            let converted = self.value(value, depth + 1, aliased)?;
            if out.contains_key(&name) && has_room(self.duplicates.len()) {
                self.duplicates.push(DuplicateKey { line: self.tree.line(value), key: bounded(&name), is_text });
            }
            out.insert(name, converted);
        }
        Ok(())
    }

    /// `<<`: a map, or a list of maps of which the first has the last word.
    fn merge(
        &mut self,
        id: NodeId,
        out: &mut Map<String, Value>,
        depth: usize,
        aliased: bool,
    ) -> Result<(), ParseError> {
        const NOT_A_MAP: &str = "map merge requires map or sequence of maps as the value";
        let tree = self.tree;
        if let Content::List(maps) = tree.content(id) {
            for &map in maps.iter().rev() {
                if matches!(tree.content(map), Content::List(_)) {
                    return Err(refusal(tree.line(map), NOT_A_MAP));
                }
                self.merge(map, out, depth, aliased)?;
            }
            return Ok(());
        }
        let target = tree.target(id);
        match tree.content(target) {
            Content::Map(children) => self.entries(target, children, out, depth, aliased || target != id),
            _ => Err(refusal(tree.line(id), NOT_A_MAP)),
        }
    }
}

#[cfg(test)]
mod tests;
