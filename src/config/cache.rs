//! How much memory sealed objects are kept in. Plaintext is never kept, whatever the setting says.

use super::{ConfigError, Environment};

const BYTES_PER_MIB: usize = 1024 * 1024;
const DEFAULT_MIB: usize = 64;
/// Far beyond any machine; below it the number of bytes fits every platform's `usize`.
const MOST_MIB: usize = if usize::BITS >= 64 { 16 * 1024 * 1024 } else { 2048 };

/// Bytes of sealed objects that are kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSize {
    bytes: usize,
}

impl CacheSize {
    /// `--cache-size`, else `STRONGROOM_CACHE_SIZE`, else 64; all in MiB.
    pub(super) fn resolve(flag_mib: Option<usize>, environment: &Environment) -> Result<Self, ConfigError> {
        let (setting, mib) = match flag_mib {
            Some(mib) => ("--cache-size", mib),
            None => ("STRONGROOM_CACHE_SIZE", environment.number("STRONGROOM_CACHE_SIZE")?.unwrap_or(DEFAULT_MIB)),
        };
        if (1..=MOST_MIB).contains(&mib) {
            Ok(Self { bytes: mib * BYTES_PER_MIB })
        } else {
            Err(ConfigError::new(setting, format!("give a number of MiB from 1 to {MOST_MIB}")))
        }
    }

    /// The bound in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_given_in_mib() {
        let nothing = Environment::of(&[]);
        assert_eq!(CacheSize::resolve(None, &nothing).unwrap().bytes(), 67_108_864);
        assert_eq!(CacheSize::resolve(Some(1), &nothing).unwrap().bytes(), 1_048_576);
        let variable = Environment::of(&[("STRONGROOM_CACHE_SIZE", "256")]);
        assert_eq!(CacheSize::resolve(None, &variable).unwrap().bytes(), 268_435_456);
        assert_eq!(CacheSize::resolve(Some(2), &variable).unwrap().bytes(), 2_097_152);
    }

    #[test]
    fn a_size_of_nothing_or_beyond_reason_is_an_error_that_names_the_setting() {
        let nothing = Environment::of(&[]);
        for wrong in [0, MOST_MIB + 1, usize::MAX] {
            let problem = CacheSize::resolve(Some(wrong), &nothing).unwrap_err().to_string();
            assert!(problem.starts_with("--cache-size: "), "{problem}");
        }
        for wrong in ["0", "-1", "64MiB"] {
            let variable = Environment::of(&[("STRONGROOM_CACHE_SIZE", wrong)]);
            let problem = CacheSize::resolve(None, &variable).unwrap_err().to_string();
            assert!(problem.starts_with("STRONGROOM_CACHE_SIZE: "), "{problem}");
        }
    }
}
