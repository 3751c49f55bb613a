//! Whatever may happen to a log, in any order.

use proptest::prelude::*;

use super::copies::{copied, copy};
use super::*;

/// What may happen to a log, in any order.
#[derive(Debug, Clone)]
enum Step {
    Append(u8),
    Copy(u8),
    Full(u16),
    Room,
    SyncFails(bool),
    Tick(u32),
    Kill,
    KillInTheMidst(u8),
    Stop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (1_u8..30).prop_map(Step::Append),
        3 => (1_u8..30).prop_map(Step::Copy),
        1 => (0_u16..900).prop_map(Step::Full),
        2 => Just(Step::Room),
        1 => any::<bool>().prop_map(Step::SyncFails),
        3 => (0_u32..90_000).prop_map(Step::Tick),
        1 => Just(Step::Kill),
        1 => (1_u8..200).prop_map(Step::KillInTheMidst),
        1 => Just(Step::Stop),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_the_chain_holds_and_what_was_acknowledged_is_there_once(steps in steps(), waits in any::<bool>()) {
        let mut home = Home::new();
        home.settings.sync = if waits { SyncMode::Always } else { SyncMode::Checkpoints };
        (home.settings.max_file_bytes, home.settings.keep_files) = (6_000, None);
        let mut log = home.open();
        let mut acknowledged = Vec::new();
        let (mut next, mut mutations, mut syncs_failed) = (0, 0, false);
        for step in steps {
            match step {
                Step::Append(count) => {
                    for _ in 0..count {
                        next += 1;
                        if log.append(&event(next)).is_ok() {
                            acknowledged.push(next);
                        }
                    }
                }
                Step::Copy(count) => {
                    mutations += u64::from(count);
                    let is_copied = copy(&log, mutations).is_ok();
                    prop_assert_eq!(is_copied, log.copied() == mutations);
                }
                Step::Full(room) => *lock(&home.faults.room) = Some(room.into()),
                Step::Room => *lock(&home.faults.room) = None,
                Step::SyncFails(fails) => {
                    syncs_failed |= fails;
                    *lock(&home.faults.sync) = fails.then_some(Errno::IO);
                }
                Step::Tick(millis) => {
                    home.clock.advance_millis(millis.into());
                    log.tick();
                    if let Some(anchor) = log.anchor().end {
                        home.kept = Some(anchor);
                    }
                }
                Step::Kill => log = home.open(),
                Step::KillInTheMidst(bytes) => {
                    // As much of a line as was on its way.
                    let newest = list(&home.directory()).unwrap().pop().unwrap();
                    let half = event(u64::MAX).into_iter().cycle().take(bytes.into()).collect::<Vec<u8>>();
                    let mut file = fs::OpenOptions::new().append(true).open(newest.path).unwrap();
                    io::Write::write_all(&mut file, &half).unwrap();
                    log = home.open();
                }
                Step::Stop => {
                    log.close();
                    home.kept = log.anchor().end;
                    log = home.open();
                }
            }
            prop_assert!(log.findings().is_empty(), "{:?}", log.findings());
        }
        *lock(&home.faults.room) = None;
        *lock(&home.faults.sync) = None;
        log.tick();
        prop_assert!(log.refusal().is_none());
        copy(&log, mutations).unwrap();
        log.close();
        prop_assert!(log.anchor().copied <= mutations);
        let mut copied = copied(&home);
        if syncs_failed {
            // What a disk that failed may have lost is there twice.
            copied.sort_unstable();
            copied.dedup();
        }
        prop_assert_eq!(copied, (1..=mutations).collect::<Vec<_>>());
        let mut numbers = home.numbers();
        if waits {
            // A line that the disk may not have is there, but nobody was told that it is.
            numbers.retain(|number| acknowledged.contains(number));
        }
        prop_assert_eq!(numbers, acknowledged);
        let report = home.verify();
        prop_assert!(report.is_intact(), "{:#?}", report.findings);
    }
}
