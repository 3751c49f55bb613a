//! Backups by a schedule: where to, how often, how many are kept, and for whom. Files and folders come from here only, and never
//! from a request.

use std::path::PathBuf;

use super::{ConfigError, Environment, Length};

const DEFAULT_EVERY: &str = "24h";
const DEFAULT_KEEP: &str = "7";

/// The options of `serve` that concern backups, not yet looked at.
#[derive(Debug, Default)]
pub struct BackupFlags {
    /// `--backup-directory`
    pub directory: Option<PathBuf>,
    /// `--backup-every`
    pub every: Option<String>,
    /// `--backup-keep`
    pub keep: Option<String>,
    /// `--backup-recipient`, as often as given
    pub recipients: Vec<String>,
}

/// What is kept of backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupKeep {
    /// The newest so many.
    Newest(usize),
    /// Those that are not older.
    Age(Length),
}

/// Backups by a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSchedule {
    /// Where they are written.
    pub directory: PathBuf,
    /// From one to the next.
    pub every: Length,
    /// What is kept.
    pub keep: BackupKeep,
    /// Age recipients (`age1…`), as given; none leaves backups as they are, which is sealed.
    pub recipients: Vec<String>,
}

impl BackupSchedule {
    /// Each flag, else its variable, else the default. `None` without a directory: then nothing else may be given either.
    pub(super) fn resolve(flags: BackupFlags, environment: &Environment) -> Result<Option<Self>, ConfigError> {
        let read = |flag: Option<String>, option: &'static str, variable: &'static str| match flag {
            Some(text) => Ok((option, Some(text))),
            None => environment.text(variable).map(|text| (variable, text)),
        };
        let (every_setting, every) = read(flags.every, "--backup-every", "STRONGROOM_BACKUP_EVERY")?;
        let (keep_setting, keep) = read(flags.keep, "--backup-keep", "STRONGROOM_BACKUP_KEEP")?;
        let recipients = if flags.recipients.is_empty() {
            environment.list("STRONGROOM_BACKUP_RECIPIENTS")?
        } else {
            flags.recipients
        };
        let Some(directory) = flags.directory.or_else(|| environment.path("STRONGROOM_BACKUP_DIRECTORY")) else {
            let orphan = every.map(|_| every_setting).or(keep.map(|_| keep_setting));
            let orphan = orphan.or((!recipients.is_empty()).then_some("--backup-recipient"));
            return match orphan {
                Some(setting) => Err(ConfigError::new(setting, "give --backup-directory too: without it none is made")),
                None => Ok(None),
            };
        };
        let directory = std::path::absolute(&directory)
            .map_err(|_| ConfigError::new("--backup-directory", "is empty or the working directory is gone"))?;
        let every = Length::parse(every.as_deref().unwrap_or(DEFAULT_EVERY))
            .map_err(|problem| ConfigError::new(every_setting, problem))?;
        let keep = parse_keep(keep.as_deref().unwrap_or(DEFAULT_KEEP))
            .map_err(|problem| ConfigError::new(keep_setting, problem))?;
        Ok(Some(Self { directory, every, keep, recipients }))
    }
}

fn parse_keep(text: &str) -> Result<BackupKeep, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("at least one is kept".to_owned()),
        Ok(count) => Ok(BackupKeep::Newest(count)),
        Err(_) => Length::parse(text)
            .map(BackupKeep::Age)
            .map_err(|_| format!("{text:?} is neither a number of backups nor a length of time such as 30d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: BackupFlags, variables: &[(&str, &str)]) -> Result<Option<BackupSchedule>, ConfigError> {
        BackupSchedule::resolve(flags, &Environment::of(variables))
    }

    #[test]
    fn without_a_directory_there_is_no_schedule() {
        assert_eq!(resolve(BackupFlags::default(), &[]).unwrap(), None);
        for (variable, value) in [
            ("STRONGROOM_BACKUP_EVERY", "1h"),
            ("STRONGROOM_BACKUP_KEEP", "3"),
            ("STRONGROOM_BACKUP_RECIPIENTS", "age1x"),
        ] {
            let problem = resolve(BackupFlags::default(), &[(variable, value)]).unwrap_err().to_string();
            assert!(problem.contains("give --backup-directory too"), "{problem}");
        }
    }

    #[test]
    fn a_flag_wins_over_its_variable_and_defaults_are_a_day_and_seven() {
        let length = |text| Length::parse(text).unwrap();
        let given = |flags| resolve(flags, &[("STRONGROOM_BACKUP_DIRECTORY", "/b")]).unwrap().unwrap();
        let schedule = given(BackupFlags::default());
        assert_eq!((schedule.every, schedule.keep), (length("1d"), BackupKeep::Newest(7)));
        assert_eq!(schedule.directory, PathBuf::from("/b"));
        let flags = BackupFlags {
            directory: Some("/c".into()),
            every: Some("1h".into()),
            keep: Some("30d".into()),
            recipients: vec!["age1x".into()],
        };
        let schedule = given(flags);
        assert_eq!((schedule.every, schedule.keep), (length("1h"), BackupKeep::Age(length("30d"))));
        assert_eq!((schedule.directory, schedule.recipients), (PathBuf::from("/c"), vec!["age1x".to_owned()]));
    }

    #[test]
    fn a_setting_that_cannot_be_used_is_named() {
        for (variable, value) in [
            ("STRONGROOM_BACKUP_EVERY", "soon"),
            ("STRONGROOM_BACKUP_KEEP", "0"),
            ("STRONGROOM_BACKUP_KEEP", "-1"),
            ("STRONGROOM_BACKUP_KEEP", "some"),
        ] {
            let variables = [("STRONGROOM_BACKUP_DIRECTORY", "/b"), (variable, value)];
            let problem = resolve(BackupFlags::default(), &variables).unwrap_err().to_string();
            assert!(problem.starts_with(&format!("{variable}: ")), "{problem}");
        }
    }
}
