//! A refusal in Kubernetes' words, and a hint that tells how to find out more.
//!
//! Says who asked and what for, and nothing of any object. Source: `responsewriters.Forbidden` of Kubernetes.

use super::Attributes;
use crate::model::field_error::go_quote;
use crate::model::user::User;

/// A request that was not allowed, in Kubernetes' words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// `secrets "b" is forbidden: User "bob" cannot get resource …`
    pub message: String,
    /// `details.name`
    pub name: String,
    /// `details.group`
    pub group: String,
    /// `details.kind`: the plural resource; empty for non-resource requests.
    pub resource: String,
    /// How to see which rules were considered: a command to copy. Empty where there is none.
    pub hint: String,
}

impl Denial {
    /// Of a request that nothing allows; `reason` is what the decision adds, if anything.
    pub fn of_request(user: &User, attributes: &Attributes, reason: &str) -> Self {
        let (verb, who) = (&attributes.verb, go_quote(&user.name));
        let cannot = if attributes.is_resource() {
            let scope = match attributes.namespace.as_str() {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace {}", go_quote(namespace)),
            };
            let (resource, group) = (go_quote(&combined(attributes)), go_quote(&attributes.group));
            format!("User {who} cannot {verb} resource {resource} in API group {group} {scope}")
        } else {
            format!("User {who} cannot {verb} path {}", go_quote(&attributes.path))
        };
        let why = if reason.is_empty() { cannot } else { format!("{cannot}: {reason}") };
        let denial = Self::new(&attributes.group, &attributes.resource, &attributes.name, &why);
        Self { message: html_escape(&denial.message), hint: hint(attributes), ..denial }
    }

    /// `roles.rbac.authorization.k8s.io "r" is forbidden: <why>`
    pub(super) fn new(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let qualified = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
        let what = match (resource, name) {
            ("", _) => String::new(),
            (_, "") => format!("{qualified} is "),
            _ => format!("{qualified} {} is ", go_quote(name)),
        };
        Self {
            message: format!("{what}forbidden: {why}"),
            name: name.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            hint: String::new(),
        }
    }
}

/// `secrets`, `serviceaccounts/token`
pub(super) fn combined(attributes: &Attributes) -> String {
    if attributes.subresource.is_empty() {
        attributes.resource.clone()
    } else {
        format!("{}/{}", attributes.resource, attributes.subresource)
    }
}

fn hint(attributes: &Attributes) -> String {
    let mut words = vec![attributes.verb.clone()];
    if attributes.is_resource() {
        let mut target = attributes.resource.clone();
        if !attributes.group.is_empty() {
            target = format!("{target}.{}", attributes.group);
        }
        if !attributes.name.is_empty() {
            target = format!("{target}/{}", attributes.name);
        }
        words.push(target);
        if !attributes.subresource.is_empty() {
            words.extend(["--subresource".to_owned(), attributes.subresource.clone()]);
        }
        if !attributes.namespace.is_empty() {
            words.extend(["-n".to_owned(), attributes.namespace.clone()]);
        } else if attributes.kind.is_some_and(|kind| kind.namespaced) {
            words.push("-A".to_owned());
        }
    } else {
        words.push(attributes.path.clone());
    }
    let quoted: Option<Vec<String>> = words.iter().map(|word| shell_word(word)).collect();
    quoted.map_or_else(String::new, |words| {
        format!("to see which rules were considered: strongroom access explain {}", words.join(" "))
    })
}

/// A word that a shell takes as it stands. `None` for what nobody should paste into a terminal or a page.
fn shell_word(word: &str) -> Option<String> {
    if word.chars().any(|c| c.is_control() || "<>&".contains(c)) {
        return None;
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Some(word.to_owned());
    }
    Some(format!("'{}'", word.replace('\'', r"'\''")))
}

/// Kubernetes escapes these in the text about a request, so that a browser cannot be made to run a path.
fn html_escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
