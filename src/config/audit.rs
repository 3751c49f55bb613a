//! How the audit log is kept: when a file is full, what is removed, and what is waited for.

use super::{ConfigError, Environment};

const BYTES_PER_MIB: u64 = 1024 * 1024;
const DEFAULT_MIB: u64 = 64;
/// A file beyond this is not looked through in any useful time.
const MOST_MIB: u64 = 64 * 1024;
const SECONDS_PER_DAY: u64 = 86_400;
/// A hundred years.
const MOST_DAYS: u64 = 36_500;

/// The options of `serve` that concern the audit log, not yet looked at.
#[derive(Debug, Default)]
pub struct AuditFlags {
    /// `--audit-max-size`
    pub max_size_mib: Option<u64>,
    /// `--audit-max-age`
    pub max_age_days: Option<u64>,
    /// `--audit-max-files`
    pub max_files: Option<usize>,
    /// `--audit-sync`
    pub sync: Option<String>,
    /// `--audit-reads`
    pub reads: Option<String>,
}

/// How the audit log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditConfig {
    /// A file that would become longer is followed by another.
    pub max_file_bytes: u64,
    /// Files whose last line is older are removed; `None` keeps all.
    pub keep_seconds: Option<u64>,
    /// At most so many files are kept; `None` keeps all.
    pub keep_files: Option<usize>,
    /// Whether a request waits until the disk has its record. Otherwise a power cut may lose those of the last minute.
    pub syncs_always: bool,
    /// Whether allowed reads are recorded.
    pub records_reads: bool,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            max_file_bytes: DEFAULT_MIB * BYTES_PER_MIB,
            keep_seconds: None,
            keep_files: None,
            syncs_always: false,
            records_reads: true,
        }
    }
}

impl AuditConfig {
    /// Each flag, else its variable, else the default. Nothing is removed unless that is asked for.
    pub(super) fn resolve(flags: AuditFlags, environment: &Environment) -> Result<Self, ConfigError> {
        let size = number("--audit-max-size", flags.max_size_mib, "STRONGROOM_AUDIT_MAX_SIZE", environment)?;
        let age = number("--audit-max-age", flags.max_age_days, "STRONGROOM_AUDIT_MAX_AGE", environment)?;
        let files = number("--audit-max-files", flags.max_files, "STRONGROOM_AUDIT_MAX_FILES", environment)?;
        let max_file_bytes = match size {
            None => DEFAULT_MIB * BYTES_PER_MIB,
            Some((_, mib)) if (1..=MOST_MIB).contains(&mib) => mib * BYTES_PER_MIB,
            Some((setting, _)) => {
                return Err(ConfigError::new(setting, format!("give a number of MiB from 1 to {MOST_MIB}")));
            }
        };
        let keep_seconds = match age {
            None | Some((_, 0)) => None,
            Some((_, days)) if days <= MOST_DAYS => Some(days * SECONDS_PER_DAY),
            Some((setting, _)) => {
                return Err(ConfigError::new(setting, format!("give a number of days up to {MOST_DAYS}")));
            }
        };
        let keep_files = files.map(|(_, number)| number).filter(|number| *number > 0);
        let sync = choice(
            ("--audit-sync", flags.sync),
            "STRONGROOM_AUDIT_SYNC",
            &[("off", false), ("always", true)],
            environment,
        )?;
        let reads = choice(
            ("--audit-reads", flags.reads),
            "STRONGROOM_AUDIT_READS",
            &[("on", true), ("off", false)],
            environment,
        )?;
        Ok(Self {
            max_file_bytes,
            keep_seconds,
            keep_files,
            syncs_always: sync.unwrap_or(false),
            records_reads: reads.unwrap_or(true),
        })
    }
}

/// A number, and the setting that it came from.
fn number<T: std::str::FromStr>(
    flag_name: &'static str,
    flag: Option<T>,
    variable: &'static str,
    environment: &Environment,
) -> Result<Option<(&'static str, T)>, ConfigError> {
    match flag {
        Some(number) => Ok(Some((flag_name, number))),
        None => Ok(environment.number(variable)?.map(|number| (variable, number))),
    }
}

/// One of two words.
fn choice(
    (flag_name, flag): (&'static str, Option<String>),
    variable: &'static str,
    words: &[(&str, bool); 2],
    environment: &Environment,
) -> Result<Option<bool>, ConfigError> {
    let (setting, text) = match flag {
        Some(text) => (flag_name, Some(text)),
        None => (variable, environment.text(variable)?),
    };
    let Some(text) = text else { return Ok(None) };
    let [(first, _), (second, _)] = words;
    let chosen = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    chosen.map(Some).ok_or_else(|| ConfigError::new(setting, format!("say {first} or {second}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: AuditFlags, variables: &[(&str, &str)]) -> Result<AuditConfig, ConfigError> {
        AuditConfig::resolve(flags, &Environment::of(variables))
    }

    #[test]
    fn nothing_given_keeps_everything_and_records_reads() {
        let config = resolve(AuditFlags::default(), &[]).unwrap();
        assert_eq!(config, AuditConfig::default());
        assert_eq!((config.max_file_bytes, config.keep_files, config.keep_seconds), (67_108_864, None, None));
        assert!(config.records_reads && !config.syncs_always);
    }

    #[test]
    fn a_flag_wins_over_its_variable() {
        let variables = [
            ("STRONGROOM_AUDIT_MAX_SIZE", "2"),
            ("STRONGROOM_AUDIT_MAX_AGE", "3"),
            ("STRONGROOM_AUDIT_MAX_FILES", "4"),
            ("STRONGROOM_AUDIT_SYNC", "always"),
            ("STRONGROOM_AUDIT_READS", "off"),
        ];
        let expected = AuditConfig {
            max_file_bytes: 2_097_152,
            keep_seconds: Some(259_200),
            keep_files: Some(4),
            syncs_always: true,
            records_reads: false,
        };
        assert_eq!(resolve(AuditFlags::default(), &variables).unwrap(), expected);
        let flags = AuditFlags {
            max_size_mib: Some(1),
            max_age_days: Some(0),
            max_files: Some(0),
            sync: Some("off".into()),
            reads: Some("on".into()),
        };
        let expected = AuditConfig { max_file_bytes: 1_048_576, ..AuditConfig::default() };
        assert_eq!(resolve(flags, &variables).unwrap(), expected);
    }

    #[test]
    fn a_setting_that_cannot_be_used_is_named() {
        for (variable, value) in [
            ("STRONGROOM_AUDIT_MAX_SIZE", "0"),
            ("STRONGROOM_AUDIT_MAX_SIZE", "65537"),
            ("STRONGROOM_AUDIT_MAX_AGE", "36501"),
            ("STRONGROOM_AUDIT_MAX_FILES", "-1"),
            ("STRONGROOM_AUDIT_SYNC", "on"),
            ("STRONGROOM_AUDIT_READS", "always"),
        ] {
            let problem = resolve(AuditFlags::default(), &[(variable, value)]).unwrap_err().to_string();
            assert!(problem.starts_with(&format!("{variable}: ")), "{problem}");
        }
        let flags = AuditFlags { max_size_mib: Some(0), ..AuditFlags::default() };
        assert!(resolve(flags, &[]).unwrap_err().to_string().starts_with("--audit-max-size: "));
    }
}
