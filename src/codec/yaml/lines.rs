//! On which lines of a file its fields stand.

use std::collections::HashMap;

use super::{Content, NodeId, Tree, text_of};
use crate::codec::report::ParseError;

/// The lines of one document.
#[derive(Default)]
pub struct Lines(HashMap<String, usize>);

impl Lines {
    /// The line, from 1, of the field or item at a JSON pointer (RFC 6901). Where nothing is known of that, as behind an alias, it
    /// is the line of what it stands in.
    #[must_use]
    pub fn of(&self, pointer: &str) -> usize {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.0.get(pointer) {
                return *line;
            }
            match pointer.rsplit_once('/') {
                Some((above, _)) => pointer = above,
                None => return 1,
            }
        }
    }

    /// The reader has bounded how deep this goes.
    fn note(&mut self, tree: &Tree<'_>, id: NodeId, line: usize, pointer: String) {
        match tree.content(id) {
            Content::List(items) => {
                for (at, &item) in items.iter().enumerate() {
                    self.note(tree, item, tree.line(item), format!("{pointer}/{at}"));
                }
            }
            Content::Map(entries) => {
                for pair in entries.chunks_exact(2) {
                    let &[key, value] = pair else { continue };
                    let Content::Scalar { resolved, .. } = tree.content(tree.target(key)) else { continue };
                    let Ok(name) = resolved.to_key() else { continue };
                    self.note(tree, value, tree.line(key), format!("{pointer}/{}", segment(&name)));
                }
            }
            Content::Scalar { .. } | Content::Alias(_) => {}
        }
        self.0.insert(pointer, line);
    }
}

/// A name as a part of a pointer.
#[must_use]
pub fn segment(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The lines of every document of a file, in the order of [`super::parse_all`]. JSON is read as well.
pub fn lines(body: &[u8]) -> Result<Vec<Lines>, ParseError> {
    let tree = Tree::read(text_of(body)?, true)?;
    let of = |&root: &NodeId| {
        let mut lines = Lines::default();
        lines.note(&tree, root, tree.line(root), String::new());
        lines
    };
    Ok(tree.roots.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_items_are_found_by_their_pointers() {
        let text = "a: 1\nb:\n  - c: |\n      x\n  - d/e:\n      f: 1\n---\ng: {h: 1,\n  i: 2}\n";
        let all = lines(text.as_bytes()).unwrap();
        for (document, pointer, line) in
            [(0, "/a", 1), (0, "/b", 2), (0, "/b/0/c", 3), (0, "/b/1/d~1e/f", 6), (0, "/b/0/c/none", 3), (1, "/g/i", 9)]
        {
            assert_eq!(all[document].of(pointer), line, "{pointer}");
        }
        let json = lines(b"{\n\"data\": {\n\t\"k\": \"v\"\n}}").unwrap();
        assert_eq!(json[0].of("/data/k"), 3);
    }
}
