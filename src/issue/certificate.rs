//! Issues what a Certificate asks for.

use std::sync::Arc;

use super::controller::Context;
use super::decide::{self, Cause, Held, Step};
use super::failure::Failure;
use super::metrics::count;
use super::secret::{self, Found, Wanted};
use super::status::{Outcome, Standing};
use crate::model::certificate::{self as model, Spec, Usage};
use crate::model::expiry::TLS;
use crate::model::kinds::CERTIFICATE;
use crate::model::secret_owner::{Marks, mark};
use crate::objects::Occurrence;
use crate::pki::{Issued, Issuer, KeyKind, Purpose, Workload, certificate_end, issue, pair_warning};
use crate::sensitive::SecretBytes;

const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";
const TRUST: &str = "ca.crt";

/// Looks at a Certificate's Secret, and issues where it is time. `revision` is how many there have been by the status.
pub async fn look(
    context: &Context,
    namespace: &str,
    name: &str,
    spec: &Spec,
    requested: &str,
    revision: i64,
) -> Outcome {
    let now = context.clock.unix_seconds();
    let owner = mark(CERTIFICATE.kind, name);
    let found = match secret::find(&context.objects, namespace, &spec.secret_name) {
        Ok(found) => found,
        Err(failure) => return Outcome::failed(failure, None, spec, None),
    };
    let valid = found.as_ref().and_then(valid);
    let own = found.as_ref().filter(|found| found.marks.by == owner);
    let held = found.as_ref().map(|found| Held { marks: &found.marks, valid });
    let step = match decide::certificate(spec, &owner, requested, held.as_ref(), now, || None) {
        // Only where it is time the issuer is asked for: it is a key that is opened.
        Step::Issue(Cause::Due) => {
            let end = issuer(context, namespace, spec).await.ok().and_then(|issuer| issuer.not_after());
            decide::certificate(spec, &owner, requested, held.as_ref(), now, || end)
        }
        step => step,
    };
    match step {
        Step::Keep => Outcome::standing(spec, own.map(|own| &own.marks), valid),
        Step::Refuse(message) => {
            count(&context.metrics.refusals);
            Outcome::failed(Failure::new("SecretNotOwned", message), None, spec, None)
        }
        Step::Relabel => {
            let Some(own) = own else { return Outcome::standing(spec, None, None) };
            let marks = Marks { wish: decide::certificate_wish(spec), ..own.marks.clone() };
            let data = [CHAIN, KEY, TRUST].into_iter().filter_map(|key| Some((key.to_owned(), own.value(key)?)));
            let wanted = wanted(namespace, spec, &marks, data.collect());
            match secret::write(&context.objects, wanted, Some(own)).await {
                Ok(()) => Outcome::standing(spec, Some(&marks), valid),
                Err(failure) => Outcome::failed(failure, Some(&own.marks), spec, valid),
            }
        }
        Step::Issue(cause) => {
            let former = own.map(|own| own.marks.clone());
            // A request is followed by whatever is issued after it.
            let marks = Marks {
                by: owner,
                wish: decide::certificate_wish(spec),
                at: Some(now),
                revision: former.as_ref().map_or(0, |former| former.revision).max(revision).saturating_add(1),
                request: requested.to_owned(),
            };
            match make(context, namespace, spec, found.as_ref(), &marks).await {
                Ok(issued) => {
                    count(&context.metrics.certificates);
                    let valid = Some((issued.not_before, issued.not_after));
                    let mut outcome = Outcome::standing(spec, Some(&marks), valid);
                    let reason = if marks.revision > 1 { "Renewed" } else { "Issued" };
                    let until = crate::clock::rfc3339(issued.not_after);
                    let message = format!("a certificate was issued that is valid until {until}: {}", cause.why());
                    outcome.occurrences.push(Occurrence::normal(reason, message));
                    outcome
                }
                Err(failure) => Outcome::failed(failure, former.as_ref(), spec, own.and(valid)),
            }
        }
    }
}

impl Outcome {
    fn standing(spec: &Spec, marks: Option<&Marks>, valid: Option<(i64, i64)>) -> Self {
        let standing = Standing {
            marks: marks.cloned(),
            valid,
            due_at: valid.map(|valid| decide::renewal_time(valid, spec.renew_before)),
            is_as_asked: marks.is_some_and(|marks| marks.wish == decide::certificate_wish(spec)),
            failure: None,
        };
        Self { standing, occurrences: Vec::new() }
    }

    fn failed(failure: Failure, marks: Option<&Marks>, spec: &Spec, valid: Option<(i64, i64)>) -> Self {
        let mut outcome = Self::standing(spec, marks, valid);
        outcome.standing.failure = Some(failure);
        outcome
    }
}

/// From when and until when the Secret's certificate is valid, if it holds one with its key.
#[expect(clippy::disallowed_methods, reason = "the pair is looked at, and nothing of it is kept")]
fn valid(found: &Found) -> Option<(i64, i64)> {
    let (chain, key) = (found.value(CHAIN)?, found.value(KEY)?);
    if pair_warning(chain.expose(), key.expose()).is_some() {
        return None;
    }
    certificate_end(chain.expose())
}

async fn make(
    context: &Context,
    namespace: &str,
    spec: &Spec,
    found: Option<&Found>,
    marks: &Marks,
) -> Result<Issued, Failure> {
    let issuer = issuer(context, namespace, spec).await?;
    let former = found.filter(|_| spec.keeps_key).and_then(|found| found.value(KEY));
    let (asked, now) = (spec.clone(), context.clock.unix_seconds());
    // A large RSA key takes a second.
    let signing = tokio::task::spawn_blocking(move || sign(&issuer, &asked, former.as_ref(), now));
    let issued = signing.await.map_err(|_| Failure::new("Internal", "the certificate could not be made"))??;
    let data = vec![
        (CHAIN.to_owned(), SecretBytes::new(issued.chain.clone().into_bytes())),
        (KEY.to_owned(), issued.key.duplicate()),
        (TRUST.to_owned(), SecretBytes::new(issued.trust.clone().into_bytes())),
    ];
    secret::write(&context.objects, wanted(namespace, spec, marks, data), found).await?;
    Ok(issued)
}

fn wanted<'a>(namespace: &'a str, spec: &'a Spec, marks: &'a Marks, data: Vec<(String, SecretBytes)>) -> Wanted<'a> {
    Wanted { namespace, name: &spec.secret_name, secret_type: TLS, template: &spec.template, marks, data }
}

/// Who signs. That a key of a Secret is opened for it is recorded before.
#[expect(clippy::disallowed_methods, reason = "the issuer's pair is read to sign with")]
async fn issuer(context: &Context, namespace: &str, spec: &Spec) -> Result<Issuer, Failure> {
    let model::Issuer::Secret(name) = &spec.issuer else {
        let authority = (context.authority)().await;
        let failure = || Failure::new("AuthorityUnavailable", "the room's authority cannot be read or made now");
        return authority.map(Issuer::own).ok_or_else(failure);
    };
    context.record_read(namespace, name).await?;
    let found = secret::find(&context.objects, namespace, name)?;
    let found = found.ok_or_else(|| Failure::new("IssuerNotFound", format!("there is no Secret {name:?}")))?;
    let value = |key: &str| found.value(key).unwrap_or_else(|| SecretBytes::new(Vec::new()));
    let (chain, key, trust) = (value(CHAIN), value(KEY), value(TRUST));
    Issuer::read(chain.expose(), key.expose(), trust.expose())
        .map_err(|error| Failure::new(error.reason(), format!("Secret {name:?}: {error}")))
}

#[expect(clippy::disallowed_methods, reason = "the former key is certified again")]
fn sign(issuer: &Issuer, spec: &Spec, former: Option<&SecretBytes>, now: i64) -> Result<Issued, Failure> {
    let purposes: Vec<Purpose> = spec.usages.iter().map(|usage| purpose(*usage)).collect();
    let workload = Workload {
        common_name: &spec.common_name,
        dns_names: &spec.dns_names,
        addresses: &spec.ip_addresses,
        uris: &spec.uris,
        purposes: &purposes,
        is_authority: spec.is_authority,
        key: match spec.key {
            model::Key::Rsa(4096) => KeyKind::Rsa4096,
            model::Key::Rsa(3072) => KeyKind::Rsa3072,
            model::Key::Rsa(_) => KeyKind::Rsa2048,
            model::Key::Ecdsa(521) => KeyKind::P521,
            model::Key::Ecdsa(384) => KeyKind::P384,
            model::Key::Ecdsa(_) => KeyKind::P256,
            model::Key::Ed25519 => KeyKind::Ed25519,
        },
        valid_seconds: i64::try_from(spec.duration.as_secs()).unwrap_or(i64::MAX),
    };
    issue(issuer, &workload, former.map(SecretBytes::expose), now)
        .map_err(|error| Failure::new(error.reason(), error.to_string()))
}

fn purpose(usage: Usage) -> Purpose {
    match usage {
        Usage::DigitalSignature => Purpose::DigitalSignature,
        Usage::ContentCommitment => Purpose::ContentCommitment,
        Usage::KeyEncipherment => Purpose::KeyEncipherment,
        Usage::DataEncipherment => Purpose::DataEncipherment,
        Usage::KeyAgreement => Purpose::KeyAgreement,
        Usage::CertSign => Purpose::KeyCertSign,
        Usage::CrlSign => Purpose::CrlSign,
        Usage::Any => Purpose::Any,
        Usage::ServerAuth => Purpose::ServerAuth,
        Usage::ClientAuth => Purpose::ClientAuth,
        Usage::CodeSigning => Purpose::CodeSigning,
        Usage::EmailProtection => Purpose::EmailProtection,
        Usage::TimeStamping => Purpose::TimeStamping,
        Usage::OcspSigning => Purpose::OcspSigning,
    }
}

/// Names of the Secrets whose changes concern a Certificate.
pub fn concerns(spec: &Spec) -> Vec<Arc<str>> {
    let mut names = vec![Arc::from(spec.secret_name.as_str())];
    if let model::Issuer::Secret(issuer) = &spec.issuer {
        names.push(Arc::from(issuer.as_str()));
    }
    names
}
