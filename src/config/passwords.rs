//! How costly a password is to guess for somebody who has its hash: the memory that hashing it takes (Argon2id).
//!
//! What this never does: go below OWASP's least.

use super::{ConfigError, Environment};

const DEFAULT_MIB: u32 = 64;
/// OWASP's least.
const LEAST_MIB: u32 = 19;
/// What a stored hash may ask for at most.
const MOST_MIB: u32 = 2048;

/// Memory for hashing one password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordMemory {
    mib: u32,
}

impl Default for PasswordMemory {
    fn default() -> Self {
        Self { mib: DEFAULT_MIB }
    }
}

impl PasswordMemory {
    /// `--argon2-memory`, else `STRONGROOM_ARGON2_MEMORY`, else 64; all in MiB.
    pub(super) fn resolve(flag_mib: Option<u32>, environment: &Environment) -> Result<Self, ConfigError> {
        const VARIABLE: &str = "STRONGROOM_ARGON2_MEMORY";
        let (setting, mib) = match flag_mib {
            Some(mib) => ("--argon2-memory", mib),
            None => (VARIABLE, environment.number(VARIABLE)?.unwrap_or(DEFAULT_MIB)),
        };
        if (LEAST_MIB..=MOST_MIB).contains(&mib) {
            Ok(Self { mib })
        } else {
            Err(ConfigError::new(setting, format!("give a number of MiB from {LEAST_MIB} to {MOST_MIB}")))
        }
    }

    /// In KiB, as Argon2 counts.
    #[must_use]
    pub fn kib(self) -> u32 {
        self.mib * 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_in_mib_and_is_never_too_little() {
        let nothing = Environment::of(&[]);
        assert_eq!(PasswordMemory::resolve(None, &nothing).unwrap().kib(), 65_536);
        assert_eq!(PasswordMemory::resolve(Some(19), &nothing).unwrap().kib(), 19_456);
        let variable = Environment::of(&[("STRONGROOM_ARGON2_MEMORY", "128")]);
        assert_eq!(PasswordMemory::resolve(None, &variable).unwrap().kib(), 131_072);
        for wrong in [0, 18, 2049, u32::MAX] {
            let error = PasswordMemory::resolve(Some(wrong), &nothing).unwrap_err().to_string();
            assert!(error.starts_with("--argon2-memory: give a number of MiB from 19 to 2048"), "{error}");
        }
        for wrong in ["18", "64MiB", "-1"] {
            let variable = Environment::of(&[("STRONGROOM_ARGON2_MEMORY", wrong)]);
            let error = PasswordMemory::resolve(None, &variable).unwrap_err().to_string();
            assert!(error.starts_with("STRONGROOM_ARGON2_MEMORY: "), "{error}");
        }
    }
}
