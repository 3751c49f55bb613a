//! Whether one rule covers one request, part by part.
//!
//! Source: `plugin/pkg/auth/authorizer/rbac` of Kubernetes. Builds no text and never allocates: this is what every
//! request runs. One difference: an empty entry of `resourceNames` does not match a request without a name.

use std::sync::Arc;

use super::Attributes;
use super::rules::{ALL, Rule};

impl Rule {
    /// Whether the rule, on its own, covers the request.
    pub fn allows(&self, asked: &Attributes) -> bool {
        if asked.is_resource() {
            self.has_verb(&asked.verb)
                && self.has_group(&asked.group)
                && self.has_resource(&asked.resource, &asked.subresource)
                && self.has_name(&asked.name)
        } else {
            self.has_verb(&asked.verb) && self.has_path(&asked.path)
        }
    }

    pub(super) fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|mine| mine == verb || mine == ALL)
    }

    pub(super) fn has_group(&self, group: &str) -> bool {
        self.api_groups.iter().any(|mine| mine == group || mine == ALL)
    }

    /// `*` is everything with its subresources; `*/status` that subresource of everything. `secrets` covers no
    /// subresource, and `secrets/*` means only itself.
    pub(super) fn has_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|mine| {
            if mine == ALL {
                return true;
            }
            if subresource.is_empty() {
                return mine == resource;
            }
            let of = |owner| mine.strip_prefix(owner).and_then(|rest| rest.strip_prefix('/')) == Some(subresource);
            of(resource) || of(ALL)
        })
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.resource_names.is_empty() || (!name.is_empty() && self.resource_names.iter().any(|mine| mine == name))
    }

    pub(super) fn has_path(&self, path: &str) -> bool {
        self.non_resource_urls
            .iter()
            .any(|mine| mine == path || prefix(mine).is_some_and(|mine| path.starts_with(mine)))
    }
}

/// What a path with `*` at its end begins with.
pub(super) fn prefix(path: &str) -> Option<&str> {
    path.ends_with('*').then(|| path.trim_end_matches('*'))
}

/// What the rules of a role may cover, in 128 bits: names, verbs, resources, the lowest for paths. Where a request's bits
/// are not all in it, no rule covers the request; otherwise the rules must be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach(u128);

/// Bits for names; the highest stands for having none.
const NAMES: u128 = u128::MAX << 64;
const NAMELESS: u128 = 1 << 127;
const VERBS: u128 = 0xFFFF_FFFF << 32;
const RESOURCES: u128 = 0xFFFF_FFFE;
const PATHS: u128 = 1;

impl Reach {
    /// Of a role that is not there.
    pub(super) const NONE: Self = Self(0);

    pub(super) fn of_rules(rules: &[Arc<Rule>]) -> Self {
        let mut bits = 0;
        for rule in rules {
            for verb in &rule.verbs {
                bits |= if verb == ALL { VERBS } else { verb_bit(verb) };
            }
            for resource in &rule.resources {
                let owner = owner(resource);
                bits |= if owner == ALL { RESOURCES } else { resource_bit(owner) };
            }
            if rule.resource_names.is_empty() {
                bits |= NAMES;
            }
            for name in &rule.resource_names {
                bits |= name_bit(name);
            }
            if !rule.non_resource_urls.is_empty() {
                bits |= PATHS;
            }
        }
        Self(bits)
    }

    pub(super) fn of_request(asked: &Attributes) -> Self {
        let target = match asked.is_resource() {
            false => PATHS,
            true if asked.name.is_empty() => resource_bit(owner(&asked.resource)) | NAMELESS,
            true => resource_bit(owner(&asked.resource)) | name_bit(&asked.name),
        };
        Self(verb_bit(&asked.verb) | target)
    }

    pub(super) fn holds(self, asked: Self) -> bool {
        self.0 & asked.0 == asked.0
    }
}

fn owner(resource: &str) -> &str {
    resource.split_once('/').map_or(resource, |(owner, _)| owner)
}

fn resource_bit(resource: &str) -> u128 {
    1 << (1 + spread(resource) % 31)
}

fn verb_bit(verb: &str) -> u128 {
    1 << (32 + spread(verb) % 32)
}

fn name_bit(name: &str) -> u128 {
    1 << (64 + spread(name) % 63)
}

/// FNV-1a.
fn spread(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)) >> 16
}
