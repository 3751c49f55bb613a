//! Makes what a GeneratedSecret asks for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::controller::Context;
use super::decide::{self, Rotation, previous};
use super::failure::Failure;
use super::metrics::count;
use super::secret::{self, Found, Wanted};
use super::status::{Outcome, Standing};
use crate::generate::{self, Alphabet, NoRandomness, Random};
use crate::model::generated_secret::{Generator, Spec};
use crate::model::kinds::GENERATED_SECRET;
use crate::model::secret_owner::{Marks, mark};
use crate::objects::Occurrence;
use crate::sensitive::SecretBytes;

/// Looks at a GeneratedSecret's Secret, and makes values where it is time. `revision` is how often, by the status.
pub async fn look(
    context: &Context,
    namespace: &str,
    name: &str,
    spec: &Spec,
    requested: &str,
    revision: i64,
) -> Outcome {
    let now = context.clock.unix_seconds();
    let owner = mark(GENERATED_SECRET.kind, name);
    let found = match secret::find(&context.objects, namespace, &spec.secret_name) {
        Ok(found) => found,
        Err(failure) => return outcome(spec, None, Some(failure), now),
    };
    let held = found.as_ref().map(|found| (&found.marks, &found.keys));
    let (fresh, is_whole) = match decide::generated(spec, &owner, requested, held, now) {
        Rotation::Keep => return outcome(spec, held.map(|(marks, _)| marks), None, now),
        Rotation::Refuse(message) => {
            count(&context.metrics.refusals);
            return outcome(spec, None, Some(Failure::new("SecretNotOwned", message)), now);
        }
        Rotation::Write { fresh, is_whole } => (fresh, is_whole),
    };
    let former = found.as_ref().map(|found| found.marks.clone());
    let count_before = former.as_ref().map_or(0, |former| former.revision).max(revision);
    let marks = Marks {
        by: owner,
        wish: decide::generated_wish(spec),
        at: if is_whole { Some(now) } else { former.as_ref().and_then(|former| former.at).or(Some(now)) },
        revision: count_before.saturating_add(i64::from(!fresh.is_empty())),
        request: if is_whole {
            requested.to_owned()
        } else {
            former.as_ref().map(|former| former.request.clone()).unwrap_or_default()
        },
    };
    let Some(data) = data(spec, found.as_ref(), |key| fresh.contains(key)) else {
        let failure = Failure::new("NoRandomness", "the operating system gave no randomness");
        return outcome(spec, former.as_ref(), Some(failure), now);
    };
    let wanted = Wanted {
        namespace,
        name: &spec.secret_name,
        secret_type: &spec.secret_type,
        template: &spec.template,
        marks: &marks,
        data,
    };
    if let Err(failure) = secret::write(&context.objects, wanted, found.as_ref()).await {
        return outcome(spec, former.as_ref(), Some(failure), now);
    }
    let mut outcome = outcome(spec, Some(&marks), None, now);
    if !fresh.is_empty() {
        count(&context.metrics.rotations);
        let keys: Vec<&str> = fresh.iter().map(String::as_str).collect();
        let reason = if marks.revision > 1 { "Rotated" } else { "Generated" };
        outcome.occurrences.push(Occurrence::normal(reason, format!("new values for {}", keys.join(", "))));
    }
    outcome
}

/// The values of the Secret: new ones where `is_fresh` says so, else those that are there. `None`: there is no randomness.
fn data(spec: &Spec, found: Option<&Found>, is_fresh: impl Fn(&str) -> bool) -> Option<Vec<(String, SecretBytes)>> {
    let mut data = Vec::new();
    let mut random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| NoRandomness);
    for key in &spec.keys {
        let now = found.and_then(|found| found.value(&key.name));
        let before = previous(&key.name);
        let mut former = found.and_then(|found| found.value(&before));
        let value = match now {
            Some(now) if !is_fresh(&key.name) => now,
            now => {
                former = now.or(former);
                value(&key.generator, &mut random)?
            }
        };
        data.push((key.name.clone(), value));
        if let Some(former) = former.filter(|_| spec.keeps_previous) {
            data.push((before, former));
        }
    }
    Some(data)
}

/// A value; `None` if there is no randomness.
fn value(generator: &Generator, random: Random<'_>) -> Option<SecretBytes> {
    match generator {
        Generator::Password { length, alphabet } => {
            let alphabet = Alphabet::of(std::str::from_utf8(alphabet).ok()?).ok()?;
            generate::password(&alphabet, *length, random).ok()
        }
        Generator::Hex(bytes) => generate::hex_digits(*bytes, random).ok(),
        Generator::Base64(bytes) => {
            let mut raw = Zeroizing::new(vec![0; *bytes]);
            random(&mut raw).ok()?;
            Some(SecretBytes::new(STANDARD.encode(&*raw).into_bytes()))
        }
        Generator::Uuid => generate::uuid(random).ok(),
    }
}

fn outcome(spec: &Spec, marks: Option<&Marks>, failure: Option<Failure>, now: i64) -> Outcome {
    let standing = Standing {
        marks: marks.cloned(),
        valid: None,
        due_at: marks.and_then(|marks| decide::rotation_time(spec, marks.at, now)),
        is_as_asked: marks.is_some_and(|marks| marks.wish == decide::generated_wish(spec)),
        failure,
    };
    Outcome { standing, occurrences: Vec::new() }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at what was made")]
mod tests {
    use super::*;

    fn made(generator: &Generator) -> String {
        let mut random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| NoRandomness);
        String::from_utf8(value(generator, &mut random).unwrap().expose().to_vec()).unwrap()
    }

    #[test]
    fn values_have_the_form_that_is_asked_for() {
        let hex = made(&Generator::Hex(20));
        assert!(hex.len() == 40 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(STANDARD.decode(made(&Generator::Base64(33))).unwrap().len(), 33);
        assert_eq!(uuid::Uuid::try_parse(&made(&Generator::Uuid)).unwrap().get_version_num(), 4);
        let alphabet = b"!0123456789abcdef".to_vec();
        let password = made(&Generator::Password { length: 4_096, alphabet: alphabet.clone() });
        assert!(password.len() == 4_096 && password.bytes().all(|byte| alphabet.contains(&byte)));
        assert_ne!(made(&Generator::Hex(16)), made(&Generator::Hex(16)));
    }

    #[test]
    fn without_randomness_nothing_is_made() {
        let password = Generator::Password { length: 16, alphabet: b"0123456789abcdef".to_vec() };
        for generator in [Generator::Hex(16), Generator::Base64(16), Generator::Uuid, password] {
            assert!(value(&generator, &mut |_| Err(NoRandomness)).is_none());
        }
    }
}
