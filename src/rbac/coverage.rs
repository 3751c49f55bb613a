//! Whether rules that someone holds cover rules that are to be granted, and what is missing.
//!
//! Both sides are compared permission by permission: group × resource × verb × name, or path × verb. A permission must
//! be covered by one held rule; nothing is put together from two. Source:
//! `component-helpers/auth/rbac/validation/policy_comparator.go` of Kubernetes.
//!
//! Costs no more than a few words of memory per permission: for each entry of a list the rules that cover it are a set
//! of bits, and a permission is covered if the sets of its entries have a bit in common.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::matching::prefix;
use super::rules::{ALL, Rule};
use crate::model::field_error::go_quote;

/// Permissions that are collected as missing. No role that may be written has more; several together may.
const MAX_MISSING: usize = 100_000;
/// Lines that describe what is missing.
const MAX_LINES: usize = 1_000;

/// Rules that someone holds, by what is in their lists.
pub(super) struct Held<'a> {
    count: usize,
    verbs: Postings<'a>,
    groups: Postings<'a>,
    resources: Postings<'a>,
    names: Postings<'a>,
    /// Rules for all names.
    nameless: Vec<usize>,
    urls: Vec<(&'a str, usize)>,
}

type Postings<'a> = HashMap<&'a str, Vec<usize>>;

impl<'a> Held<'a> {
    pub(super) fn new(rules: impl IntoIterator<Item = &'a Rule>) -> Self {
        let mut held = Self {
            count: 0,
            verbs: HashMap::new(),
            groups: HashMap::new(),
            resources: HashMap::new(),
            names: HashMap::new(),
            nameless: Vec::new(),
            urls: Vec::new(),
        };
        let mut seen = HashSet::new();
        for rule in rules.into_iter().filter(|rule| seen.insert(*rule)) {
            let at = held.count;
            held.count += 1;
            post(&mut held.verbs, &rule.verbs, at);
            post(&mut held.groups, &rule.api_groups, at);
            post(&mut held.resources, &rule.resources, at);
            post(&mut held.names, &rule.resource_names, at);
            if rule.resource_names.is_empty() {
                held.nameless.push(at);
                held.urls.extend(rule.non_resource_urls.iter().map(|url| (url.as_str(), at)));
            }
        }
        held
    }

    /// What of `rules` is not covered.
    pub(super) fn missing<'r>(&self, rules: impl IntoIterator<Item = &'r Rule>) -> Missing<'r> {
        let mut missing = Missing::default();
        for rule in rules {
            self.missing_resources(rule, &mut missing);
            self.missing_paths(rule, &mut missing);
            if missing.count >= MAX_MISSING {
                break;
            }
        }
        missing
    }

    fn missing_resources<'r>(&self, rule: &'r Rule, missing: &mut Missing<'r>) {
        let verbs: Vec<Bits> = rule.verbs.iter().map(|verb| self.bits(&self.verbs, &[verb, ALL])).collect();
        let groups: Vec<Bits> = rule.api_groups.iter().map(|group| self.bits(&self.groups, &[group, ALL])).collect();
        let resources: Vec<Bits> = rule.resources.iter().map(|resource| self.resource_bits(resource)).collect();
        let names: Vec<(Option<&str>, Bits)> = if rule.resource_names.is_empty() {
            vec![(None, Bits::of(self.count, &self.nameless))]
        } else {
            rule.resource_names.iter().map(|name| (Some(name.as_str()), self.name_bits(name))).collect()
        };
        let named = Bits::in_all(self.count, names.iter().map(|(_, bits)| bits));
        let verbed = Bits::in_all(self.count, &verbs);
        let rest = named.and(&verbed);
        if Bits::in_all(self.count, groups.iter().chain(&resources)).meets(&rest) {
            return;
        }
        for (group, in_group) in rule.api_groups.iter().zip(&groups) {
            for (resource, on_resource) in rule.resources.iter().zip(&resources) {
                // Most often one rule covers every verb and name here; nothing is allocated to find that.
                if in_group.meets_both(on_resource, &rest) {
                    continue;
                }
                let here = in_group.and(on_resource);
                for (verb, with_verb) in rule.verbs.iter().zip(&verbs) {
                    let with_verb = here.and(with_verb);
                    if with_verb.meets(&named) {
                        continue;
                    }
                    for (name, by_name) in &names {
                        if !with_verb.meets(by_name) {
                            missing.add_resource((group, resource, *name), verb);
                        }
                    }
                    if missing.count >= MAX_MISSING {
                        return;
                    }
                }
            }
        }
    }

    fn missing_paths<'r>(&self, rule: &'r Rule, missing: &mut Missing<'r>) {
        if rule.non_resource_urls.is_empty() {
            return;
        }
        let verbs: Vec<Bits> = rule.verbs.iter().map(|verb| self.bits(&self.verbs, &[verb, ALL])).collect();
        for url in &rule.non_resource_urls {
            let covering = self.urls.iter().filter(|(held, _)| covers_path(held, url));
            let here = Bits::of(self.count, covering.map(|(_, at)| at));
            for (verb, with_verb) in rule.verbs.iter().zip(&verbs) {
                if !here.meets(with_verb) {
                    missing.add_path(url, verb);
                }
            }
        }
    }

    fn bits(&self, postings: &Postings<'_>, entries: &[&str]) -> Bits {
        Bits::of(self.count, entries.iter().filter_map(|entry| postings.get(entry)).flatten())
    }

    fn resource_bits(&self, resource: &str) -> Bits {
        let any = resource.split_once('/').map(|(_, subresource)| format!("*/{subresource}"));
        self.bits(&self.resources, &[resource, ALL, any.as_deref().unwrap_or(ALL)])
    }

    fn name_bits(&self, name: &str) -> Bits {
        Bits::of(self.count, self.nameless.iter().chain(self.names.get(name).into_iter().flatten()))
    }
}

fn post<'a>(postings: &mut Postings<'a>, entries: &'a [String], at: usize) {
    for entry in entries {
        postings.entry(entry).or_default().push(at);
    }
}

fn covers_path(held: &str, path: &str) -> bool {
    held == path || prefix(held).is_some_and(|held| path.starts_with(held))
}

/// A set of held rules.
struct Bits(Vec<u64>);

impl Bits {
    fn of<'n>(count: usize, members: impl IntoIterator<Item = &'n usize>) -> Self {
        let mut words = vec![0; count.div_ceil(64)];
        for member in members {
            if let Some(word) = words.get_mut(member / 64) {
                *word |= 1 << (member % 64);
            }
        }
        Self(words)
    }

    /// The rules that are in each of the sets.
    fn in_all<'b>(count: usize, sets: impl IntoIterator<Item = &'b Self>) -> Self {
        sets.into_iter().fold(Self(vec![u64::MAX; count.div_ceil(64)]), |all, set| all.and(set))
    }

    fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }

    fn meets_both(&self, one: &Self, other: &Self) -> bool {
        self.0.iter().zip(&one.0).zip(&other.0).any(|((a, b), c)| a & b & c != 0)
    }

    fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }
}

/// Group, resource and name, if the permission is for one.
type Target<'r> = (&'r str, &'r str, Option<&'r str>);

/// Permissions that are not covered, those of one resource put together.
#[derive(Debug, Default)]
pub(super) struct Missing<'r> {
    count: usize,
    verbs: HashMap<Target<'r>, Vec<&'r str>>,
    /// The keys of `verbs` as they came.
    targets: Vec<Target<'r>>,
    /// Paths with a verb.
    paths: Vec<(&'r str, &'r str)>,
}

impl<'r> Missing<'r> {
    fn add_resource(&mut self, target: Target<'r>, verb: &'r str) {
        self.count += 1;
        let verbs = self.verbs.entry(target).or_default();
        if verbs.is_empty() {
            self.targets.push(target);
        }
        verbs.push(verb);
    }

    fn add_path(&mut self, path: &'r str, verb: &'r str) {
        self.count += 1;
        self.paths.push((path, verb));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// As rules: one per resource and name, one per path.
    pub(super) fn rules(&self) -> Vec<Rule> {
        let one = |text: &str| vec![text.to_owned()];
        let resources = self.targets.iter().map(|target| Rule {
            verbs: self.verbs_on(target).iter().map(|&verb| verb.to_owned()).collect(),
            api_groups: one(target.0),
            resources: one(target.1),
            resource_names: target.2.map(one).unwrap_or_default(),
            ..Rule::default()
        });
        let mut paths = BTreeMap::<&str, Vec<String>>::new();
        for (path, verb) in &self.paths {
            paths.entry(path).or_default().push((*verb).to_owned());
        }
        let paths =
            paths.into_iter().map(|(path, verbs)| Rule { verbs, non_resource_urls: one(path), ..Rule::default() });
        resources.chain(paths).collect()
    }

    /// As Kubernetes lists them, a line each, sorted: `{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}`.
    /// Beyond a thousand lines it is no longer complete and says so.
    pub(super) fn describe(&self) -> String {
        let resources = self.targets.iter().map(|target @ (group, resource, name)| {
            let name = name.map(|name| format!(", ResourceNames:[{}]", go_quote(name))).unwrap_or_default();
            let (group, resource) = (go_quote(group), go_quote(resource));
            let verbs = go_list(self.verbs_on(target));
            format!("{{APIGroups:[{group}], Resources:[{resource}]{name}, Verbs:{verbs}}}")
        });
        let paths = self
            .paths
            .iter()
            .map(|(path, verb)| format!("{{NonResourceURLs:[{}], Verbs:[{}]}}", go_quote(path), go_quote(verb)));
        let lines: BTreeSet<String> = resources.chain(paths).take(MAX_LINES).collect();
        let mut text = Vec::from_iter(lines).join("\n");
        let left_out = (self.targets.len() + self.paths.len()).saturating_sub(MAX_LINES);
        if left_out > 0 {
            text.extend(["\nand ", &left_out.to_string(), " more"]);
        }
        text
    }

    fn verbs_on(&self, target: &Target<'r>) -> &[&'r str] {
        self.verbs.get(target).map(Vec::as_slice).unwrap_or_default()
    }
}

/// A list of text as Go's `%q` prints a `[]string`: `["a" "b"]`.
pub(super) fn go_list(items: &[impl AsRef<str>]) -> String {
    format!("[{}]", items.iter().map(|item| go_quote(item.as_ref())).collect::<Vec<_>>().join(" "))
}
