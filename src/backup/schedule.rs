//! When the next backup is due, and which of those that are there are kept.

use super::names::BackupName;

/// A backup may be dated so much later than now, of a clock that was put right, and still be the last one.
const CLOCK_SLACK_SECONDS: i64 = 300;

/// How many backups are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The newest so many, at least one.
    Newest(usize),
    /// Those of the last so many seconds, and the newest in any case.
    Seconds(i64),
}

/// When backups are made, and how long they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Seconds from one to the next.
    pub every_seconds: i64,
    /// What is kept.
    pub keep: Keep,
}

impl Schedule {
    /// When the next one is due, seconds since the epoch: now, where there is none. One that is dated in the future says
    /// nothing of when it was made.
    pub fn next_due(&self, made: impl Iterator<Item = i64>, now: i64) -> i64 {
        let last = made.filter(|made| is_dated_well(*made, now)).max();
        last.map_or(now, |last| last.saturating_add(self.every_seconds))
    }

    /// Which of these are to be removed. Of another store's none is, and never the newest. One that is dated in the future counts
    /// for none of those that are kept, and is kept besides.
    pub fn superseded<'n>(&self, store_id: [u8; 16], names: &'n [BackupName], now: i64) -> Vec<&'n BackupName> {
        let is_own = |name: &&BackupName| name.store_id == store_id && is_dated_well(name.created_unix_seconds, now);
        let mut own: Vec<&BackupName> = names.iter().filter(is_own).collect();
        own.sort_unstable_by_key(|name| std::cmp::Reverse(name.created_unix_seconds));
        let kept = match self.keep {
            Keep::Newest(count) => count.max(1),
            Keep::Seconds(seconds) => {
                let since = now.saturating_sub(seconds);
                own.partition_point(|name| name.created_unix_seconds >= since).max(1)
            }
        };
        own.split_off(kept.min(own.len()))
    }
}

fn is_dated_well(made: i64, now: i64) -> bool {
    made <= now.saturating_add(CLOCK_SLACK_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn name(store: u8, created_unix_seconds: i64) -> BackupName {
        BackupName { store_id: [store; 16], created_unix_seconds, is_encrypted: false }
    }

    #[test]
    fn the_next_one_is_due_after_the_last_and_at_once_where_there_is_none() {
        let schedule = Schedule { every_seconds: DAY, keep: Keep::Newest(1) };
        let due = |made: &[i64]| schedule.next_due(made.iter().copied(), 10 * DAY);
        assert_eq!(due(&[]), 10 * DAY);
        assert_eq!(due(&[9 * DAY, 8 * DAY]), 10 * DAY);
        assert_eq!(due(&[10 * DAY - 5]), 11 * DAY - 5);
        // Of a clock that was years ahead.
        assert_eq!(due(&[1000 * DAY]), 10 * DAY);
        assert_eq!(due(&[1000 * DAY, 10 * DAY]), 11 * DAY);
    }

    #[test]
    fn the_newest_stays_whatever_is_kept_and_others_stores_are_nobodys_business() {
        let names: Vec<BackupName> = [name(1, DAY), name(1, 3 * DAY), name(1, 2 * DAY), name(2, DAY)].to_vec();
        let gone = |keep, now| {
            let schedule = Schedule { every_seconds: DAY, keep };
            let mut gone: Vec<i64> = schedule
                .superseded([1; 16], &names, now)
                .iter()
                .map(|name| {
                    assert_eq!(name.store_id, [1; 16]);
                    name.created_unix_seconds / DAY
                })
                .collect();
            gone.sort_unstable();
            gone
        };
        assert_eq!(gone(Keep::Newest(2), 4 * DAY), [1]);
        assert_eq!(gone(Keep::Newest(0), 4 * DAY), [1, 2]);
        assert_eq!(gone(Keep::Newest(9), 4 * DAY), [] as [i64; 0]);
        assert_eq!(gone(Keep::Seconds(2 * DAY), 4 * DAY), [1]);
        assert_eq!(gone(Keep::Seconds(DAY), 400 * DAY), [1, 2]);
        // Of a clock that was ahead: the one that was made just now is not removed for its sake, nor it for that.
        assert_eq!(gone(Keep::Newest(1), 2 * DAY), [1]);
    }
}
