//! The evaluator and all that is built on it, compared with the naive one in random worlds.

use std::collections::BTreeSet;
use std::thread;

use serde_json::json;

use super::reference::{self, Dice, World};
use super::*;
use crate::model::kinds;

const WORLDS: u64 = 2_000;
const REQUESTS: usize = 500;

/// Runs `check` for each seed, on all processors; the sums of what it counts.
fn in_worlds<const N: usize>(worlds: u64, check: fn(u64) -> [usize; N]) -> [usize; N] {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let part = |first: u64| {
        (first..worlds)
            .step_by(usize::try_from(threads).unwrap())
            .map(check)
            .fold([0; N], |sums, counts| std::array::from_fn(|at| sums[at] + counts[at]))
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|first| scope.spawn(move || part(first))).collect();
        running.into_iter().fold([0; N], |sums, thread| {
            let counts = thread.join().expect("the message above names the world");
            std::array::from_fn(|at| sums[at] + counts[at])
        })
    })
}

#[test]
fn decisions_are_those_of_the_naive_evaluator() {
    fn check(seed: u64) -> [usize; 2] {
        let dice = &mut Dice::new(seed);
        let world = reference::world(dice);
        let (policy, users) = (world.to_set().compile(), reference::users());
        let applicable = |user: &User, namespace: &str| -> Vec<reference::Rule> {
            policy.rules_for(user, namespace).rules.iter().map(|rule| reference::Rule::read(rule)).collect()
        };
        let namespaces = ["", "n1", "n2"];
        let rules: Vec<Vec<Vec<reference::Rule>>> =
            users.iter().map(|user| namespaces.iter().map(|namespace| applicable(user, namespace)).collect()).collect();
        let mut allowed = 0;
        for _ in 0..REQUESTS {
            let at = dice.below(users.len());
            let user = &users[at];
            // Some by chance, some at what the user holds, there or next door.
            let (held, there) = (dice.below(3), dice.below(3));
            let asked = match rules[at][held].len() {
                count if count > 0 && dice.once_in(2) => {
                    let there = if dice.once_in(2) { held } else { there };
                    let rule = dice.below(count);
                    reference::aimed(dice, &rules[at][held][rule], namespaces[there])
                }
                _ => reference::request(dice, true),
            };
            let expected = world.decide(user, &asked);
            let decision = policy.decide(user, &asked);
            let told = || format!("world {seed}, {user:?}, {asked:?}");
            assert_eq!(decision.is_allowed(), expected.is_some(), "{}", told());
            assert_eq!(policy.allows(user, &asked), expected.is_some(), "{}", told());
            let explanation = explain(&policy, user, &asked);
            assert_eq!(explanation.allowed, expected.is_some(), "{}", told());
            if let Some(reason) = &expected {
                allowed += 1;
                assert_eq!(decision.reason(), *reason, "{}", told());
                assert_eq!(explanation.summary(), *reason, "{}", told());
            }
            // A namespace that is none has nothing of its own.
            let namespace = namespaces.iter().position(|one| *one == asked.namespace).unwrap_or(0);
            let covered = rules[at][namespace].iter().any(|rule| rule.matches(&asked));
            assert_eq!(covered, expected.is_some(), "{}", told());
        }
        [allowed, REQUESTS]
    }
    let [allowed, asked] = in_worlds(WORLDS, check);
    assert!(asked >= 1_000_000);
    let percent = allowed * 100 / asked;
    println!("{asked} requests, of which {percent} % were allowed");
    assert!((5..=60).contains(&percent), "{percent} % of the requests were allowed, so little was compared");
}

#[test]
fn the_rules_of_a_user_are_those_of_the_naive_evaluator() {
    fn check(seed: u64) -> [usize; 1] {
        let world = reference::world(&mut Dice::new(seed));
        let policy = world.to_set().compile();
        let mut found = 0;
        for user in reference::users() {
            for namespace in ["", "n1", "n2", "n3"] {
                let rules = policy.rules_for(&user, namespace).rules;
                let rules: BTreeSet<_> = rules.iter().map(|rule| reference::Rule::read(rule)).collect();
                found += rules.len();
                assert_eq!(rules, world.held(&user, namespace).into_iter().collect(), "world {seed}, {user:?}");
            }
        }
        [found]
    }
    let [found] = in_worlds(WORLDS, check);
    assert!(found > 10_000, "{found}");
}

#[test]
fn what_may_be_written_gives_nobody_more_than_the_writer_has() {
    fn check(seed: u64) -> [usize; 3] {
        let dice = &mut Dice::new(seed);
        let world = reference::world(dice);
        let policy = world.to_set().compile();
        let [mut passed, mut refused, mut allowed] = [0; 3];
        for user in reference::users() {
            for (kind, namespace) in [(&kinds::CLUSTER_ROLE, ""), (&kinds::ROLE, "n1")] {
                if policy.allows(&user, &Attributes::object("escalate", kind, namespace, "new")) {
                    continue;
                }
                let held = world.held(&user, namespace);
                let granted: Vec<reference::Rule> = (0..=dice.below(2))
                    .map(|_| match held.len() {
                        // Often a rule that the user has, or one that is narrower in one place.
                        0 => reference::rule(dice, !kind.namespaced),
                        count if dice.once_in(2) => {
                            let mut rule = held[dice.below(count)].clone();
                            if kind.namespaced && !rule.urls.is_empty() {
                                return reference::rule(dice, false);
                            }
                            match dice.below(4) {
                                0 if rule.urls.is_empty() => rule.names = vec!["m".to_owned()],
                                1 => rule.verbs = vec!["get".to_owned()],
                                2 if rule.urls.is_empty() => rule.resources = vec!["a/s".to_owned()],
                                _ => {}
                            }
                            rule
                        }
                        _ => reference::rule(dice, !kind.namespaced),
                    })
                    .collect();
                let rules: Vec<serde_json::Value> = granted.iter().map(reference::Rule::to_value).collect();
                let new = json!({"metadata": {"name": "new"}, "rules": rules});
                let result = check_role(&policy, &user, kind, namespace, "new", None, &new);
                let told = || format!("world {seed}, {user:?}, {granted:?}");
                assert_eq!(result.is_ok(), World::covers(&held, &granted), "{}", told());
                // The same rules by way of a binding to a role that has them.
                let name = "granted";
                let with_role = world.to_set().role(namespace, name, json!(rules)).compile();
                let binding_kind = if kind.namespaced { &kinds::ROLE_BINDING } else { &kinds::CLUSTER_ROLE_BINDING };
                let binding = json!({"roleRef": {"kind": kind.kind, "name": name}});
                if !policy.allows(&user, &Attributes::object("bind", kind, namespace, name)) {
                    let bound = check_binding(&with_role, &user, binding_kind, namespace, "", None, &binding);
                    // A new role may have changed what the user holds only where an aggregate chose it; it has no label.
                    assert_eq!(bound.is_ok(), result.is_ok(), "{}", told());
                }
                if result.is_err() {
                    refused += 1;
                    continue;
                }
                passed += 1;
                for _ in 0..100 {
                    let mut asked = reference::request(dice, false);
                    if kind.namespaced {
                        asked.namespace = namespace.to_owned();
                    }
                    if granted.iter().any(|rule| rule.matches(&asked)) {
                        allowed += 1;
                        assert!(policy.allows(&user, &asked), "{}, {asked:?}", told());
                    }
                }
            }
        }
        [passed, refused, allowed]
    }
    let [passed, refused, allowed] = in_worlds(WORLDS, check);
    assert!(passed > 1_000 && refused > 1_000 && allowed > 10_000, "{passed} {refused} {allowed}");
}

#[test]
fn a_suggestion_allows_what_was_asked_and_nothing_else() {
    fn check(seed: u64) -> [usize; 2] {
        let dice = &mut Dice::new(seed);
        let set = reference::world(dice).to_set();
        let (policy, users) = (set.compile(), reference::users());
        let [mut suggested, mut gained] = [0; 2];
        for _ in 0..8 {
            let user = &users[dice.below(users.len())];
            let asked = reference::request(dice, false);
            let explanation = explain(&policy, user, &asked);
            let Some(suggestion) = explanation.suggestion() else {
                assert!(explanation.allowed);
                continue;
            };
            suggested += 1;
            let mut with = set.clone();
            for (kind, object) in
                [(suggestion.role_kind, &suggestion.role), (suggestion.binding_kind, &suggestion.binding)]
            {
                let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
                with.put(kind, text("namespace"), text("name"), object);
            }
            let with = with.compile();
            let told = || format!("world {seed}, {user:?}, {asked:?}: {suggestion:?}");
            assert!(with.allows(user, &asked), "{}", told());
            let is_named = suggestion.role["rules"][0].get("resourceNames").is_some();
            for _ in 0..100 {
                let other = &users[dice.below(users.len())];
                // Near by: the request itself with one part changed, or anything.
                let mut near = reference::request(dice, false);
                if near.is_resource() == asked.is_resource() && !dice.once_in(4) {
                    let anything = near;
                    near = asked.clone();
                    match dice.below(7) {
                        0 => near.verb = anything.verb,
                        1 => near.group = anything.group,
                        2 => near.resource = anything.resource,
                        3 => near.subresource = anything.subresource,
                        4 => near.namespace = anything.namespace,
                        5 => near.name = anything.name,
                        _ => near.path = anything.path,
                    }
                }
                let (before, after) = (policy.allows(other, &near), with.allows(other, &near));
                if before == after {
                    continue;
                }
                gained += 1;
                // A user without a name is known by the first group.
                let is_them = if user.name.is_empty() { other.is_in(&user.groups[0]) } else { other.name == user.name };
                let is_it = near.verb == asked.verb
                    && (near.path == asked.path || asked.is_resource())
                    && (&near.group, &near.resource, &near.subresource)
                        == (&asked.group, &asked.resource, &asked.subresource)
                    && (near.namespace == asked.namespace || asked.namespace.is_empty())
                    && (near.name == asked.name || !is_named);
                assert!(after && is_them && is_it, "{} also allows {other:?} {near:?}", told());
            }
        }
        [suggested, gained]
    }
    let [suggested, gained] = in_worlds(WORLDS, check);
    assert!(suggested > 1_000 && gained > 1_000, "{suggested} {gained}");
}

#[test]
fn holders_are_found_as_by_asking_for_each() {
    fn check(seed: u64) -> [usize; 1] {
        let dice = &mut Dice::new(seed);
        let world = reference::world(dice);
        let policy = world.to_set().compile();
        let mut found = 0;
        for _ in 0..20 {
            let asked = reference::request(dice, true);
            let namespace = if asked.is_resource() { &*asked.namespace } else { "" };
            let mut expected = BTreeSet::from(["- Group system:masters".to_owned()]);
            for binding in world.bindings_at(namespace) {
                let rules = world.role_of(binding).map(|role| world.rules(role)).unwrap_or_default();
                for (kind, name, home) in &binding.subjects {
                    let home = if home.is_empty() && *kind == "ServiceAccount" { binding.namespace } else { home };
                    let is_nobody = *kind == "ServiceAccount" && home.is_empty();
                    if !is_nobody && rules.iter().any(|rule| rule.matches(&asked)) {
                        expected.insert(format!("{}/{} {kind} {name}{home}", binding.namespace, binding.name));
                    }
                }
            }
            let holders = who_can(&policy, &asked);
            found += holders.len();
            assert!(holders.is_sorted_by(|a, b| a.subject <= b.subject));
            let told: Vec<String> = holders
                .iter()
                .map(|Holder { subject, grant }| {
                    let by = match grant {
                        Grant::Masters => "-".to_owned(),
                        Grant::Rule(grant) => {
                            assert!(grant.role.rules[grant.rule].allows(&asked));
                            assert_eq!(grant.binding.subjects[grant.subject], *subject);
                            format!("{}/{}", grant.binding.namespace, grant.binding.name)
                        }
                    };
                    format!("{by} {} {}{}", subject.kind.as_str(), subject.name, subject.namespace)
                })
                .collect();
            assert_eq!(told.len(), expected.len(), "world {seed}, {asked:?}: {told:?}");
            assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), expected, "world {seed}, {asked:?}");
        }
        [found]
    }
    let [found] = in_worlds(WORLDS, check);
    assert!(found > 60_000, "{found}");
}

#[test]
fn a_grant_is_unused_if_it_would_have_allowed_no_request() {
    fn check(seed: u64) -> [usize; 2] {
        let dice = &mut Dice::new(seed);
        let world = reference::world(dice);
        let (policy, users) = (world.to_set().compile(), reference::users());
        let seen: Vec<(User, Attributes)> =
            (0..20).map(|_| (users[dice.below(users.len())].clone(), reference::request(dice, false))).collect();
        let mut usage = Usage::new(&policy);
        assert_eq!(usage.window(), None);
        for (at, (user, asked)) in seen.iter().enumerate() {
            usage.observe(&user.name, &user.groups, asked, 100 - i64::try_from(at).unwrap());
        }
        assert_eq!(usage.window(), Some((81, 100)));
        let unused = usage.unused();
        let mut grants = 0;
        let mut expected = Vec::new();
        let mut bindings: Vec<&reference::Binding> = world.bindings.iter().collect();
        bindings.sort_by_key(|binding| (binding.namespace, binding.name.clone()));
        for binding in bindings {
            // By the policy's own list of rules: only their order is taken from it.
            let role_namespace = if binding.role_kind == "ClusterRole" { "" } else { binding.namespace };
            let Some(_) = world.role_of(binding) else { continue };
            let rules = &policy.role(role_namespace, &binding.role).unwrap().rules;
            for subject in &binding.subjects {
                for (at, rule) in rules.iter().enumerate() {
                    grants += 1;
                    let rule = reference::Rule::read(rule);
                    let is_used = seen.iter().any(|(user, asked)| {
                        let scope = if asked.is_resource() { &*asked.namespace } else { "" };
                        (binding.namespace.is_empty() || binding.namespace == scope)
                            && binding.applies(*subject, user)
                            && rule.matches(asked)
                    });
                    if !is_used {
                        expected
                            .push(format!("{}/{} {} {} {at}", binding.namespace, binding.name, subject.0, subject.1));
                    }
                }
            }
        }
        let told: Vec<String> = unused
            .iter()
            .map(|grant| {
                let UnusedGrant { binding, subject, rule, .. } = grant;
                format!("{}/{} {} {} {rule}", binding.namespace, binding.name, subject.kind.as_str(), subject.name)
            })
            .collect();
        assert_eq!(told, expected, "world {seed}");
        [grants, unused.len()]
    }
    let [grants, unused] = in_worlds(WORLDS, check);
    assert!(unused > 1_000 && grants - unused > 1_000, "{unused} of {grants}");
}
