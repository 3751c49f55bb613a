//! Copies of the records of mutations: each is there once, behind whatever happens.

use super::*;

fn record() -> SecretBytes {
    SecretBytes::new(br#"{"kind":"Event","annotations":{}}"#.to_vec())
}

/// Copies what is missing of the first `count` records.
pub fn copy(log: &AuditLog, count: u64) -> Result<(), Refused> {
    log.append_copies((log.copied() + 1..=count).map(|number| (number, record())).collect())
}

/// The numbers of the records that are copied.
pub fn copied(home: &Home) -> Vec<u64> {
    let lines = home.lines().into_iter();
    lines.filter_map(|line| line["annotations"][MUTATION].as_str()?.parse().ok()).collect()
}

#[test]
fn each_record_is_copied_once_over_new_files_kills_and_stops() {
    let mut home = Home::new();
    home.settings.max_file_bytes = 1_500;
    let mut count = 0;
    for round in 0..12 {
        let log = home.open();
        assert_eq!(log.copied(), count);
        for _ in 0..round {
            count += 3;
            copy(&log, count).unwrap();
            log.append(&event(count)).unwrap();
        }
        if round % 3 == 0 {
            log.close();
        }
    }
    assert!(list(&home.directory()).unwrap().len() > 5);
    assert_eq!(copied(&home), (1..=count).collect::<Vec<_>>());
    assert_eq!(home.assert_intact().copied, count);
}

#[test]
fn what_is_copied_already_is_passed_over() {
    let home = Home::new();
    let log = home.open();
    for numbers in [1..=4, 2..=5, 1..=1] {
        log.append_copies(numbers.map(|number| (number, record())).collect()).unwrap();
    }
    log.append_missing_copy(3, "it is gone").unwrap();
    assert_eq!(copied(&home), [1, 2, 3, 4, 5]);
}

#[test]
fn in_the_place_of_a_record_that_is_no_line_stands_that_it_is_missing() {
    let home = Home::new();
    let log = home.open();
    let broken = |text: &[u8]| SecretBytes::new(text.to_vec());
    log.append_copies(vec![(1, record()), (2, broken(b"{\"annotations\":{\n}}")), (3, record())]).unwrap();
    log.append_missing_copy(4, "it does not pass authentication").unwrap();
    log.append_copies(vec![(5, broken(b"{}"))]).unwrap();
    assert_eq!(copied(&home), [1, 2, 3, 4, 5]);
    assert_eq!(
        home.notes(),
        [
            "the record of mutation 2 is not copied: it is no event",
            "the record of mutation 4 is not copied: it does not pass authentication",
            "the record of mutation 5 is not copied: it is no event"
        ]
    );
    home.assert_intact();
}

#[test]
fn a_copy_that_did_not_fit_on_the_disk_is_made_again() {
    let home = Home::new();
    let log = home.open();
    copy(&log, 2).unwrap();
    *lock(&home.faults.room) = Some(300);
    assert!(copy(&log, 9).is_err());
    assert!(log.copied() < 9 && log.boundary().is_some());
    *lock(&home.faults.room) = None;
    log.tick();
    copy(&log, 9).unwrap();
    assert_eq!(copied(&home), (1..=9).collect::<Vec<_>>());
    home.assert_intact();
}

#[test]
fn what_a_disk_that_failed_may_have_lost_is_copied_again_and_never_vouched_for() {
    let home = Home::new();
    let log = home.open();
    copy(&log, 3).unwrap();
    home.clock.advance_millis(61_000);
    log.tick();
    assert_eq!(log.anchor().copied, 3);
    copy(&log, 5).unwrap();
    *lock(&home.faults.sync) = Some(Errno::IO);
    home.clock.advance_millis(61_000);
    log.tick();
    assert_eq!((log.anchor().copied, log.copied()), (3, 3));
    *lock(&home.faults.sync) = None;
    log.tick();
    copy(&log, 6).unwrap();
    home.clock.advance_millis(61_000);
    log.tick();
    assert_eq!(log.anchor().copied, 6);
    assert_eq!(copied(&home), [1, 2, 3, 4, 5, 4, 5, 6]);
    home.assert_intact();
}

#[test]
fn an_anchor_vouches_for_what_was_copied_before_its_checkpoint_alone() {
    let home = Home::new();
    let log = home.open();
    assert_eq!(log.anchor(), Anchor::default());
    copy(&log, 2).unwrap();
    assert_eq!(log.anchor().copied, 0);
    home.clock.advance_millis(61_000);
    log.tick();
    copy(&log, 7).unwrap();
    assert_eq!((log.anchor().copied, log.copied()), (2, 7));
    log.close();
    assert_eq!(log.anchor().copied, 7);
    assert_eq!(home.open().copied(), 7);
}

#[test]
fn behind_a_database_that_is_an_older_one_it_is_said_so_and_what_is_new_is_copied() {
    let home = Home::new();
    let log = home.open();
    copy(&log, 7).unwrap();
    log.heed_end(7);
    assert_eq!(log.findings(), [""; 0]);
    log.heed_end(4);
    assert!(log.findings()[0].contains("up to 7, but the database ends with 4"), "{:?}", log.findings());
    assert_eq!(home.notes(), log.findings());
    copy(&log, 6).unwrap();
    assert_eq!((log.copied(), copied(&home)), (6, vec![1, 2, 3, 4, 5, 6, 7, 5, 6]));
}
