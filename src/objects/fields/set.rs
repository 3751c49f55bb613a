//! A set of field paths, kept as a tree.
//!
//! A node is a member when its own path is in the set (`.` in FieldsV1, or a leaf). No node but the root is ever
//! empty: every branch ends in a member.

use std::collections::BTreeMap;

use super::path::Element;

/// Paths below (and including) one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    member: bool,
    children: BTreeMap<Element, FieldSet>,
}

impl FieldSet {
    /// Just the place itself.
    pub(super) fn leaf() -> Self {
        Self { member: true, children: BTreeMap::new() }
    }

    /// Whether it holds no path.
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Whether the place itself is in the set.
    pub(super) fn is_member(&self) -> bool {
        self.member
    }

    /// Whether the place itself shall be in the set.
    pub(super) fn set_member(&mut self, member: bool) {
        self.member = member;
    }

    /// Forgets the parts and owns the place: what becomes of paths into a value that is one leaf.
    pub(super) fn collapse(&mut self) {
        if !self.children.is_empty() {
            *self = Self::leaf();
        }
    }

    /// The parts in order.
    pub(super) fn children(&self) -> &BTreeMap<Element, Self> {
        &self.children
    }

    /// The parts, to change in place; none may be left empty.
    pub(super) fn children_mut(&mut self) -> impl Iterator<Item = (&Element, &mut Self)> {
        self.children.iter_mut()
    }

    /// The paths below one part, if there are any.
    pub(super) fn child(&self, element: &Element) -> Option<&Self> {
        self.children.get(element)
    }

    /// Adds `paths` below a part.
    pub(super) fn attach(&mut self, element: Element, paths: Self) {
        if !paths.is_empty() {
            self.children.entry(element).or_default().union(paths);
        }
    }

    /// Adds every path of `other`.
    pub(super) fn union(&mut self, other: Self) {
        self.member |= other.member;
        if self.children.is_empty() {
            self.children = other.children;
            return;
        }
        for (element, paths) in other.children {
            self.attach(element, paths);
        }
    }

    /// Removes every path of `other`; a path below one of its members stays.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        // Over the smaller side, so that a big set costs nothing against a small change.
        if other.children.len() < self.children.len() {
            for (element, paths) in &other.children {
                let gone = self.children.get_mut(element).is_some_and(|own| {
                    own.subtract(paths);
                    own.is_empty()
                });
                if gone {
                    self.children.remove(element);
                }
            }
        } else {
            self.children.retain(|element, own| {
                if let Some(paths) = other.children.get(element) {
                    own.subtract(paths);
                }
                !own.is_empty()
            });
        }
    }

    /// The paths in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let (small, big) = if self.children.len() < other.children.len() { (self, other) } else { (other, self) };
        let mut both = Self { member: self.member && other.member, children: BTreeMap::new() };
        for (element, paths) in &small.children {
            if let Some(others) = big.children.get(element) {
                both.attach(element.clone(), paths.intersection(others));
            }
        }
        both
    }

    /// Calls `visit` with the text of every path below this place: at each level members first, then deeper ones.
    pub(super) fn for_each_path(&self, visit: &mut impl FnMut(&str)) {
        self.walk(&mut String::new(), visit);
    }

    fn walk(&self, path: &mut String, visit: &mut impl FnMut(&str)) {
        let length = path.len();
        for (element, _) in self.children.iter().filter(|(_, paths)| paths.member) {
            element.push_text(path);
            visit(path);
            path.truncate(length);
        }
        for (element, paths) in self.children.iter().filter(|(_, paths)| !paths.children.is_empty()) {
            element.push_text(path);
            paths.walk(path, visit);
            path.truncate(length);
        }
    }
}
