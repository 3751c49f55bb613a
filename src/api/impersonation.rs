//! Acting as somebody else: the `Impersonate-*` headers, each of which needs a right of its own.
//!
//! Source: `k8s.io/apiserver/pkg/endpoints/filters/impersonation.go` (behaviour). What it never does: leave a header
//! that it does not understand without effect.

use std::collections::BTreeMap;

use actix_web::http::header::HeaderMap;

use super::request_info::decode;
use super::status::Failure;
use crate::model::user::{GROUP_AUTHENTICATED, GROUP_SERVICE_ACCOUNTS, GROUP_UNAUTHENTICATED, USER_ANONYMOUS, User};
use crate::rbac::{Attributes, Denial, Policy};

const PREFIX: &str = "impersonate-";
const EXTRA: &str = "extra-";
const AUTHENTICATION: &str = "authentication.k8s.io";
/// The most groups, and the most values of extra, that one request may ask for.
const MOST: usize = 1000;

/// Whom a request asks to act as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    user: String,
    groups: Vec<String>,
    uid: String,
    extra: BTreeMap<String, Vec<String>>,
}

impl Asked {
    /// What the headers ask for; `None` if nothing. `uri` is for the error text.
    pub fn read(headers: &HeaderMap, uri: &str) -> Result<Option<Self>, Failure> {
        let mut asked = Self::default();
        let mut users = 0;
        let mut any = false;
        for (name, value) in headers {
            let Some(what) = name.as_str().strip_prefix(PREFIX) else { continue };
            any = true;
            let value = value.to_str().map_err(|_| Failure::bad_request(format!("{name}: not a text")))?.to_owned();
            match what {
                "user" => {
                    users += 1;
                    asked.user = value;
                }
                "group" => asked.groups.push(value),
                "uid" => asked.uid = value,
                _ => match what.strip_prefix(EXTRA) {
                    Some(key) if !key.is_empty() => {
                        asked.extra.entry(decode(key, false).to_lowercase()).or_default().push(value);
                    }
                    _ => return Err(Failure::bad_request(format!("{name}: there is no such header"))),
                },
            }
        }
        if !any {
            return Ok(None);
        }
        if users > 1 || asked.groups.len() > MOST || asked.extra.values().map(Vec::len).sum::<usize>() > MOST {
            return Err(Failure::bad_request("too many Impersonate headers"));
        }
        if asked.user.is_empty() {
            let requested: Vec<String> =
                asked.references().iter().map(|asked| format!("{{{}  {}    }}", kind(asked), asked.name)).collect();
            let requested = requested.join(" ");
            let text = format!("Internal Server Error: {uri:?}: requested [{requested}] without impersonating a user");
            return Err(Failure::bad_request(text));
        }
        Ok(Some(asked))
    }

    /// Everything that a right is needed for, in Kubernetes' order.
    fn references(&self) -> Vec<Attributes> {
        let mut all = Vec::new();
        if let Some((namespace, name)) = User::service_account_of(&self.user) {
            all.push(Attributes::impersonate("", "serviceaccounts", namespace, name));
        } else if !self.user.is_empty() {
            all.push(Attributes::impersonate("", "users", "", &self.user));
        }
        all.extend(self.groups.iter().map(|group| Attributes::impersonate("", "groups", "", group)));
        for (key, values) in &self.extra {
            all.extend(values.iter().map(|value| Attributes {
                subresource: key.clone(),
                ..Attributes::impersonate(AUTHENTICATION, "userextras", "", value)
            }));
        }
        if !self.uid.is_empty() {
            all.push(Attributes::impersonate(AUTHENTICATION, "uids", "", &self.uid));
        }
        all
    }

    /// Whether `real` may act as the one who is asked for, in every respect.
    pub fn check(&self, policy: &Policy, real: &User) -> Result<(), Failure> {
        for attributes in self.references() {
            if !policy.allows(real, &attributes) {
                return Err(Failure::forbidden(&Denial::of_request(real, &attributes, "")));
            }
        }
        Ok(())
    }

    /// The user that the request goes on as, if `real` may act as that one.
    pub fn become_user(&self, policy: &Policy, real: &User) -> Result<User, Failure> {
        self.check(policy, real)?;
        let Self { user, mut groups, uid, extra } = self.clone();
        if groups.is_empty()
            && let Some((namespace, _)) = User::service_account_of(&user)
        {
            groups = vec![GROUP_SERVICE_ACCOUNTS.to_owned(), format!("{GROUP_SERVICE_ACCOUNTS}:{namespace}")];
        }
        let everyone = if user == USER_ANONYMOUS { GROUP_UNAUTHENTICATED } else { GROUP_AUTHENTICATED };
        if !groups.iter().any(|group| group == GROUP_AUTHENTICATED || group == GROUP_UNAUTHENTICATED) {
            groups.push(everyone.to_owned());
        }
        Ok(User { name: user, uid, groups, extra })
    }
}

/// What Kubernetes' text calls the thing that is to be impersonated.
fn kind(reference: &Attributes) -> &'static str {
    match reference.resource.as_str() {
        "groups" => "Group",
        "uids" => "UID",
        "userextras" => "UserExtra",
        "serviceaccounts" => "ServiceAccount",
        _ => "User",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn read(headers: &[(&str, &str)]) -> Result<Option<Asked>, Failure> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        Asked::read(&map, "/api/v1")
    }

    fn become_user(headers: &[(&str, &str)]) -> User {
        read(headers).unwrap().unwrap().become_user(&Policy::empty(), &User::admin()).unwrap()
    }

    #[test]
    fn without_headers_nobody_is_impersonated() {
        assert_eq!(read(&[("accept", "*/*")]).unwrap(), None);
    }

    #[test]
    fn groups_follow_kubernetes() {
        let groups = |headers: &[(&str, &str)]| become_user(headers).groups.join(" ");
        assert_eq!(groups(&[("Impersonate-User", "jane")]), "system:authenticated");
        let given = [("Impersonate-User", "jane"), ("Impersonate-Group", "b"), ("Impersonate-Group", "a")];
        assert_eq!(groups(&given), "b a system:authenticated");
        assert_eq!(groups(&[("Impersonate-User", "system:anonymous")]), "system:unauthenticated");
        let service_account = ("Impersonate-User", "system:serviceaccount:ns:sa");
        assert_eq!(groups(&[service_account]), "system:serviceaccounts system:serviceaccounts:ns system:authenticated");
        assert_eq!(groups(&[service_account, ("Impersonate-Group", "g")]), "g system:authenticated");
        let once = [("Impersonate-User", "jane"), ("Impersonate-Group", "system:authenticated")];
        assert_eq!(groups(&once), "system:authenticated");
    }

    #[test]
    fn extra_keys_are_decoded_and_in_lower_case() {
        let user = become_user(&[
            ("Impersonate-User", "jane"),
            ("Impersonate-Uid", "u-1"),
            ("Impersonate-Extra-Acme.com%2Fproject", "one"),
            ("Impersonate-Extra-Acme.com%2Fproject", "two"),
        ]);
        assert_eq!(user.uid, "u-1");
        assert_eq!(user.extra.get("acme.com/project").unwrap(), &["one", "two"]);
    }

    #[test]
    fn what_is_asked_for_without_a_user_or_cannot_be_read_is_refused() {
        let failure = read(&[("Impersonate-Group", "g1")]).unwrap_err();
        assert_eq!(
            (failure.code, failure.body["message"].as_str().unwrap()),
            (400, "Internal Server Error: \"/api/v1\": requested [{Group  g1    }] without impersonating a user")
        );
        for headers in [
            &[("Impersonate-User", "a"), ("Impersonate-User", "b")][..],
            &[("Impersonate-User", "a"), ("Impersonate-Scopes", "b")],
            &[("Impersonate-User", "a"), ("Impersonate-Extra-", "b")],
        ] {
            assert_eq!(read(headers).unwrap_err().code, 400, "{headers:?}");
        }
    }

    #[test]
    fn every_part_needs_a_right_of_its_own() {
        let failure = |headers: &[(&str, &str)]| {
            let asked = read(headers).unwrap().unwrap();
            let refused = asked.become_user(&Policy::empty(), &User::new("bob", "", [])).unwrap_err();
            refused.body["message"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            failure(&[("Impersonate-User", "zed")]),
            "users \"zed\" is forbidden: User \"bob\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
        );
        assert_eq!(
            failure(&[("Impersonate-User", "system:serviceaccount:ns:sa")]),
            "serviceaccounts \"sa\" is forbidden: User \"bob\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"ns\""
        );
    }
}
