//! Hashes of passwords: Argon2id in the PHC string format.
//!
//! A stored hash says itself what checking it costs. Nothing is computed for one whose cost lies outside
//! [`password_limits`]: a changed row could otherwise cost gigabytes at every attempt, or next to nothing. The form is
//! read as strictly as it is written: one algorithm, one version, the parameters in one order.
//!
//! Source: RFC 9106; the PHC string format (`$argon2id$v=19$m=…,t=…,p=…$salt$hash`, base64 without padding).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::derive::{KEY_BYTES, make_array};
use super::errors::{RandomError, UnlockError};
use super::slots::{Argon2Cost, SlotLimits, derive_argon2id};
use crate::sensitive::SecretBytes;

const START: &str = "$argon2id$v=19$";
const MADE_SALT_BYTES: usize = 16;
const SALT_MAX_BYTES: usize = 64;

/// What checking a stored hash may cost: 19 MiB (OWASP's least) to 2 GiB, 1 to 16 passes, 1 to 8 lanes.
pub fn password_limits() -> SlotLimits {
    SlotLimits { memory_kib: 19 * 1024..=2 * 1024 * 1024, passes: 1..=16, lanes: 1..=8 }
}

/// A password was the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// It was hashed at a lower cost than is wanted now.
    pub needs_rehash: bool,
}

/// Why a password was not hashed or not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// The password is another one.
    #[error("the password is wrong")]
    Wrong,
    /// What is stored is no hash of ours, or its cost is outside the limits. Nothing was computed.
    #[error("the stored password hash is not one that this release makes")]
    Malformed,
    /// The memory that the cost asks for could not be had.
    #[error("there is not enough memory to hash a password")]
    OutOfMemory,
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Random,
}

impl From<RandomError> for PasswordError {
    fn from(_: RandomError) -> Self {
        Self::Random
    }
}

/// The hash of a password with a new salt, as a PHC string. Takes as long as the cost says.
pub fn hash_password(password: &SecretBytes, cost: Argon2Cost) -> Result<SecretBytes, PasswordError> {
    hash_with_salt(password, cost, &make_array::<MADE_SALT_BYTES>()?)
}

/// A hash that no password has, at a cost: to spend the same time on a user who does not exist.
pub fn hash_of_nothing(cost: Argon2Cost) -> Result<SecretBytes, RandomError> {
    Ok(encode(cost, &make_array::<MADE_SALT_BYTES>()?, &make_array::<KEY_BYTES>()?))
}

/// Whether `password` is the one that `phc` was made of. Takes as long as the cost in `phc` says, also where the
/// password is wrong.
pub fn verify_password(
    phc: &SecretBytes,
    password: &SecretBytes,
    wanted: Argon2Cost,
) -> Result<Verified, PasswordError> {
    let stored = decode(phc).ok_or(PasswordError::Malformed)?;
    let hash = derive(password, stored.cost, &stored.salt)?;
    if !bool::from(hash.ct_eq(&stored.hash)) {
        return Err(PasswordError::Wrong);
    }
    let weaker = stored.cost.memory_kib() < wanted.memory_kib() || stored.cost.passes() < wanted.passes();
    Ok(Verified { needs_rehash: weaker })
}

struct Stored {
    cost: Argon2Cost,
    salt: Vec<u8>,
    hash: [u8; KEY_BYTES],
}

fn hash_with_salt(password: &SecretBytes, cost: Argon2Cost, salt: &[u8]) -> Result<SecretBytes, PasswordError> {
    Ok(encode(cost, salt, &derive(password, cost, salt)?))
}

fn derive(password: &SecretBytes, cost: Argon2Cost, salt: &[u8]) -> Result<[u8; KEY_BYTES], PasswordError> {
    let hash = derive_argon2id(password, salt, cost, &password_limits()).map_err(|error| match error {
        UnlockError::OutOfMemory => PasswordError::OutOfMemory,
        _ => PasswordError::Malformed,
    })?;
    Ok(*hash.bytes())
}

fn encode(cost: Argon2Cost, salt: &[u8], hash: &[u8; KEY_BYTES]) -> SecretBytes {
    let (memory, passes, lanes) = (cost.memory_kib(), cost.passes(), cost.lanes());
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    SecretBytes::new(format!("{START}m={memory},t={passes},p={lanes}${salt}${hash}").into_bytes())
}

#[expect(clippy::disallowed_methods, reason = "a hash is read to be compared")]
fn decode(phc: &SecretBytes) -> Option<Stored> {
    let text = std::str::from_utf8(phc.expose()).ok()?.strip_prefix(START)?;
    let mut parts = text.split('$');
    let (cost, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let mut numbers = cost.split(',');
    let memory = number(numbers.next()?.strip_prefix("m=")?)?;
    let passes = number(numbers.next()?.strip_prefix("t=")?)?;
    let lanes = number(numbers.next()?.strip_prefix("p=")?)?;
    if numbers.next().is_some() {
        return None;
    }
    let cost = Argon2Cost::new(memory, passes, lanes, &password_limits()).ok()?;
    let salt = STANDARD_NO_PAD.decode(salt).ok()?;
    let hash = STANDARD_NO_PAD.decode(hash).ok()?.try_into().ok()?;
    (MADE_SALT_BYTES..=SALT_MAX_BYTES).contains(&salt.len()).then_some(Stored { cost, salt, hash })
}

/// A decimal number in its one spelling.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at what was made")]
mod tests {
    use super::*;

    fn cheap() -> Argon2Cost {
        Argon2Cost::new(19 * 1024, 1, 1, &password_limits()).unwrap()
    }

    fn secret(text: &str) -> SecretBytes {
        SecretBytes::new(text.as_bytes().to_vec())
    }

    #[test]
    fn a_password_is_known_again_and_no_other() {
        let phc = hash_password(&secret("correct horse"), cheap()).unwrap();
        assert!(phc.expose().starts_with(b"$argon2id$v=19$m=19456,t=1,p=1$"));
        let verify = |password| verify_password(&phc, &secret(password), cheap());
        assert_eq!(verify("correct horse"), Ok(Verified { needs_rehash: false }));
        for wrong in ["correct horse ", "correct hors", "", "Correct horse"] {
            assert_eq!(verify(wrong), Err(PasswordError::Wrong), "{wrong}");
        }
        let again = hash_password(&secret("correct horse"), cheap()).unwrap();
        assert_ne!(phc.expose(), again.expose(), "every hash has its own salt");
    }

    #[test]
    fn a_hash_below_the_wanted_cost_is_to_be_made_anew() {
        let phc = hash_password(&secret("correct horse"), cheap()).unwrap();
        for (memory, passes, anew) in [(19 * 1024, 1, false), (20 * 1024, 1, true), (19 * 1024, 2, true)] {
            let wanted = Argon2Cost::new(memory, passes, 1, &password_limits()).unwrap();
            let verified = verify_password(&phc, &secret("correct horse"), wanted).unwrap();
            assert_eq!(verified.needs_rehash, anew, "{memory} {passes}");
        }
    }

    #[test]
    fn hashes_are_those_of_other_implementations() {
        // Made with argon2-cffi 25.1, which is the reference implementation in C.
        for phc in [
            "$argon2id$v=19$m=19456,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$OzMO761hGdc1+pn60v2GxJA3XG5NM62jmjqXxdIBZlY",
            "$argon2id$v=19$m=19456,t=2,p=2$ZmVkY2JhOTg3NjU0MzIxMDAxMjM$fs9+OjvYKPUAtS7OhH3Ts9H47nyCsVAQuFOn+jTCyAk",
        ] {
            let right = verify_password(&secret(phc), &secret("correct horse battery"), cheap());
            assert_eq!(right, Ok(Verified { needs_rehash: false }), "{phc}");
        }
    }

    #[test]
    fn what_costs_too_much_or_too_little_or_is_another_form_is_not_computed() {
        let salt_and_hash = format!("{}${}", STANDARD_NO_PAD.encode([7; 16]), STANDARD_NO_PAD.encode([9; 32]));
        let good = format!("$argon2id$v=19$m=19456,t=1,p=1${salt_and_hash}");
        assert_eq!(verify_password(&secret(&good), &secret("x"), cheap()), Err(PasswordError::Wrong));
        for start in [
            "$argon2id$v=19$m=4194304,t=1,p=1$",
            "$argon2id$v=19$m=19455,t=1,p=1$",
            "$argon2id$v=19$m=19456,t=0,p=1$",
            "$argon2id$v=19$m=19456,t=17,p=1$",
            "$argon2id$v=19$m=19456,t=1,p=9$",
            "$argon2id$v=19$m=19456,t=1,p=0$",
            "$argon2id$v=19$m=4294967296,t=1,p=1$",
            "$argon2id$v=19$m=019456,t=1,p=1$",
            "$argon2id$v=19$m=+19456,t=1,p=1$",
            "$argon2id$v=19$t=1,m=19456,p=1$",
            "$argon2id$v=19$m=19456,t=1,p=1,keyid=AA$",
            "$argon2id$v=16$m=19456,t=1,p=1$",
            "$argon2i$v=19$m=19456,t=1,p=1$",
            "$argon2d$v=19$m=19456,t=1,p=1$",
            "$argon2id$m=19456,t=1,p=1$",
            "",
        ] {
            let phc = secret(&format!("{start}{salt_and_hash}"));
            assert_eq!(verify_password(&phc, &secret("x"), cheap()), Err(PasswordError::Malformed), "{start}");
        }
        for end in ["$", "=", "$AAAA", "AAAA"] {
            let phc = secret(&format!("{good}{end}"));
            assert_eq!(verify_password(&phc, &secret("x"), cheap()), Err(PasswordError::Malformed), "{end}");
        }
    }

    #[test]
    fn no_password_has_the_hash_of_nothing() {
        let phc = hash_of_nothing(cheap()).unwrap();
        assert_eq!(verify_password(&phc, &secret(""), cheap()), Err(PasswordError::Wrong));
    }
}
