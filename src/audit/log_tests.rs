//! The log over real files, behind a sink that fails when it is told to.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::super::event::{MUTATION, REPEATED};
use super::super::files::{LogFile, list, name};
use super::super::refused::{FULL, QUOTA, READ_ONLY};
use super::*;

#[path = "log_tests/copies.rs"]
mod copies;
#[path = "log_tests/home.rs"]
mod home;
#[path = "log_tests/steps.rs"]
mod steps;

use home::{Home, event};

#[test]
fn what_was_appended_is_in_the_file_in_order_linked_and_signed_every_thousand_events() {
    let home = Home::new();
    let log = home.open();
    for number in 0..2500 {
        log.append(&event(number)).unwrap();
    }
    assert_eq!(home.numbers(), (0..2500).collect::<Vec<_>>());
    let report = home.assert_intact();
    assert_eq!((report.events, report.checkpoints, report.lines), (2500, 2, 2503));
    assert_eq!(report.mutations, [(3, [3; 32])].into());
    log.close();
    let report = home.assert_intact();
    assert_eq!((report.checkpoints, report.unsigned_lines), (3, 0));
    assert_eq!(log.append(&event(1)).unwrap_err().why(), CLOSED);
    assert!(log.probe().is_err());
}

#[test]
fn files_and_folder_are_their_owners_alone_and_the_public_key_is_beside_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let log = home.open();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&home.directory()), mode(&home.path(1))), (0o700, 0o600));
    let pem = fs::read_to_string(home.directory().join(PUBLIC_KEY_FILE)).unwrap();
    assert_eq!(AuditPublicKey::from_pem(&pem), Some(log.public_key()));
}

#[test]
fn what_is_no_single_line_is_refused_and_the_log_goes_on() {
    let home = Home::new();
    let log = home.open();
    for wrong in [b"{\"a\":\n1}".to_vec(), b"{\"a\":1".to_vec(), vec![b'}'; LINE_MAX_BYTES]] {
        assert_eq!(log.append(&wrong).unwrap_err().why(), NO_LINE);
    }
    log.append(&event(1)).unwrap();
    assert_eq!((log.refusal(), home.numbers()), (None, vec![1]));
}

#[test]
fn a_process_that_was_killed_goes_on_behind_its_last_line() {
    let home = Home::new();
    home.open().append(&event(1)).unwrap();
    home.open().append(&event(2)).unwrap();
    assert_eq!((home.numbers(), home.kinds()), (vec![1, 2], vec!["File".into(), "Event".into(), "Event".into()]));
    home.assert_intact();
}

#[test]
fn half_a_line_is_cut_off_at_the_next_start_and_the_cut_is_recorded() {
    for bytes in [1, 40, 100] {
        let home = Home::new();
        home.open().append(&event(1)).unwrap();
        let whole = home.text(1);
        let half = &whole.lines().next_back().unwrap()[..bytes];
        fs::write(home.path(1), format!("{whole}{half}")).unwrap();
        assert_eq!(home.assert_intact().torn_bytes, bytes as u64);
        let log = home.open();
        assert!(log.findings().is_empty());
        log.append(&event(2)).unwrap();
        assert_eq!(home.numbers(), [1, 2]);
        let expected =
            format!("{bytes} bytes of a line that was not written whole were cut off the end of {}", name(1));
        assert_eq!(home.notes(), [expected]);
        home.assert_intact();
    }
}

#[test]
fn half_a_first_line_is_cut_off_too_and_the_file_begun_again() {
    let mut home = Home::new();
    home.settings.max_file_bytes = 500;
    let log = home.open();
    (0..4).for_each(|number| log.append(&event(number)).unwrap());
    drop(log);
    let files = list(&home.directory()).unwrap();
    let next = LogFile::numbered(&home.directory(), files.last().unwrap().number + 1);
    for torn in ["", "{\"kind\":\"File\",\"api"] {
        fs::write(&next.path, torn).unwrap();
        home.open().append(&event(4)).unwrap();
        assert!(fs::read_to_string(&next.path).unwrap().starts_with("{\"kind\":\"File\","));
        home.assert_intact();
        fs::remove_file(&next.path).unwrap();
    }
}

#[test]
fn a_full_disk_refuses_until_a_probe_has_written_again_and_nothing_acknowledged_is_lost() {
    for room in [0, 1, 90, 200] {
        let home = Home::new();
        let log = home.open();
        log.append(&event(1)).unwrap();
        *lock(&home.faults.room) = Some(room);
        let accepted: Vec<u64> = (2..6).filter(|number| log.append(&event(*number)).is_ok()).collect();
        assert!(accepted.len() < 4);
        assert_eq!(log.refusal().unwrap().to_string(), FULL);
        assert!(log.probe().is_err(), "the disk is still full");
        *lock(&home.faults.room) = None;
        assert_eq!(log.append(&event(7)).unwrap_err().why(), FULL, "only a probe ends a refusal");
        log.tick();
        assert_eq!(log.refusal(), None);
        log.append(&event(8)).unwrap();
        let mut expected = vec![1];
        expected.extend(accepted);
        expected.push(8);
        assert_eq!(home.numbers(), expected);
        assert!(home.notes().iter().any(|note| note.starts_with("nothing was written for a time")));
        assert!(log.findings().is_empty());
        home.assert_intact();
    }
}

#[test]
fn every_way_in_which_a_disk_refuses_is_told_with_what_to_do() {
    for (errno, why) in
        [(Errno::NOSPC, FULL), (Errno::DQUOT, QUOTA), (Errno::FBIG, QUOTA), (Errno::ROFS, READ_ONLY), (Errno::IO, DISK)]
    {
        let home = Home::new();
        let log = home.open();
        *lock(&home.faults.write) = Some(errno);
        assert_eq!(log.append(&event(1)).unwrap_err().why(), why);
        assert_eq!(log.probe().unwrap_err().why(), why);
        *lock(&home.faults.write) = None;
        log.probe().unwrap();
        log.append(&event(2)).unwrap();
        assert_eq!(home.numbers(), [2]);
        home.assert_intact();
    }
}

#[test]
fn a_limit_that_is_hit_within_a_line_is_told_for_what_it_is_and_nothing_torn_stays() {
    for (errno, why) in [(Errno::NOSPC, FULL), (Errno::DQUOT, QUOTA), (Errno::FBIG, QUOTA), (Errno::IO, DISK)] {
        let home = Home::new();
        let log = home.open();
        log.append(&event(1)).unwrap();
        let whole = home.text(1);
        (*lock(&home.faults.room), *lock(&home.faults.no_room)) = (Some(10), Some(errno));
        assert_eq!(log.append(&event(2)).unwrap_err().why(), why);
        assert_eq!(home.text(1).len(), whole.len() + 10, "part of the line was taken");
        *lock(&home.faults.room) = None;
        log.probe().unwrap();
        log.append(&event(3)).unwrap();
        assert_eq!(home.numbers(), [1, 3]);
        assert!(home.text(1).starts_with(&whole));
        let cut = format!("10 bytes of a line that was not written whole were cut off the end of {}", name(1));
        assert!(home.notes().contains(&cut), "{:?}", home.notes());
        home.assert_intact();
    }
}

#[test]
fn a_disk_that_is_full_for_long_does_not_fill_the_log_with_notes_of_what_was_tried() {
    let home = Home::new();
    let log = home.open();
    *lock(&home.faults.room) = Some(10);
    assert!(log.append(&event(1)).is_err());
    for room in 1..100 {
        *lock(&home.faults.room) = Some(room);
        assert_eq!(log.probe().unwrap_err().why(), FULL);
    }
    *lock(&home.faults.room) = None;
    log.probe().unwrap();
    let notes = home.notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].starts_with("nothing was written for a time") && notes[1].starts_with("10 bytes of a line"));
    home.assert_intact();

    *lock(&home.faults.room) = Some(20);
    assert!(log.append(&event(2)).is_err());
    *lock(&home.faults.room) = None;
    log.probe().unwrap();
    assert_eq!(home.notes().len(), 4, "what happens later is noted again");
}

#[test]
fn a_line_that_is_taken_in_pieces_is_one_line() {
    let home = Home::new();
    *lock(&home.faults.piece) = Some(7);
    let log = home.open();
    (0..3).for_each(|number| log.append(&event(number)).unwrap());
    assert_eq!((home.numbers(), home.notes()), (vec![0, 1, 2], vec![]));
    home.assert_intact();
}

#[test]
fn half_a_line_that_cannot_be_cut_off_keeps_the_log_refused() {
    let home = Home::new();
    let log = home.open();
    *lock(&home.faults.room) = Some(10);
    assert!(log.append(&event(1)).is_err());
    *lock(&home.faults.room) = None;
    *lock(&home.faults.truncate) = Some(Errno::IO);
    assert!(log.probe().is_err());
    *lock(&home.faults.truncate) = None;
    log.probe().unwrap();
    log.append(&event(2)).unwrap();
    assert_eq!(home.numbers(), [2]);
    home.assert_intact();
}

#[test]
fn a_start_on_a_full_disk_is_a_refusal_and_not_an_error() {
    let home = Home::new();
    *lock(&home.faults.room) = Some(20);
    let log = home.open();
    assert_eq!(log.append(&event(1)).unwrap_err().why(), FULL);
    assert!(log.probe().is_err());
    *lock(&home.faults.room) = None;
    log.tick();
    log.append(&event(2)).unwrap();
    assert_eq!(home.numbers(), [2]);
    home.assert_intact();
}

#[test]
fn a_start_on_a_file_system_that_is_read_only_goes_on_by_itself_later() {
    let home = Home::new();
    home.open().append(&event(1)).unwrap();
    *lock(&home.faults.open) = Some(Errno::ROFS);
    let log = home.open();
    assert_eq!(log.append(&event(2)).unwrap_err().why(), READ_ONLY);
    *lock(&home.faults.open) = None;
    log.tick();
    log.append(&event(3)).unwrap();
    assert_eq!(home.numbers(), [1, 3]);
    home.assert_intact();
}

#[test]
fn a_directory_that_is_none_is_an_error_that_names_it() {
    let home = Home::new();
    fs::write(home.directory(), b"x").unwrap();
    let error = home.try_open().err().unwrap().to_string();
    assert!(error.contains("/audit: ") && error.contains("directory"), "{error}");
}

#[test]
fn a_checkpoint_that_cannot_be_written_does_not_take_back_the_event_before_it() {
    let home = Home::new();
    let log = home.open();
    (0..999).for_each(|number| log.append(&event(number)).unwrap());
    let length = home.text(1).lines().next_back().unwrap().len() + 1;
    *lock(&home.faults.room) = Some(length + 30);
    log.append(&event(999)).unwrap();
    assert_eq!(log.refusal().unwrap().why(), FULL);
    *lock(&home.faults.room) = None;
    log.probe().unwrap();
    log.append(&event(1000)).unwrap();
    assert_eq!(home.numbers(), (0..=1000).collect::<Vec<_>>());
    assert_eq!(home.assert_intact().checkpoints, 1);
}

#[test]
fn lines_get_a_checkpoint_within_a_minute_and_the_disk_has_it_before_it_is_an_anchor() {
    let home = Home::new();
    let log = home.open();
    log.append(&event(1)).unwrap();
    home.clock.advance_millis(59_000);
    log.tick();
    assert_eq!((home.verify().checkpoints, log.anchor().end), (0, None));
    home.clock.advance_millis(1_000);
    *lock(&home.faults.sync) = Some(Errno::IO);
    log.tick();
    assert_eq!((home.verify().checkpoints, log.anchor().end), (1, None));
    assert_eq!(log.refusal().unwrap().why(), DISK);
    *lock(&home.faults.sync) = None;
    log.tick();
    log.append(&event(2)).unwrap();
    assert_eq!(list(&home.directory()).unwrap().len(), 2, "a file that the disk may not have is left");
    home.clock.advance_millis(60_000);
    log.tick();
    let report = home.assert_intact();
    assert_eq!((report.checkpoints, log.anchor().end), (2, report.end));
    let lines = report.lines;
    home.clock.advance_millis(600_000);
    log.tick();
    assert_eq!(home.verify().lines, lines, "without an event there is no checkpoint");
}

#[test]
fn waiting_for_the_disk_is_shared() {
    let mut home = Home::new();
    home.settings.sync = SyncMode::Always;
    let log = home.open();
    let before = home.faults.syncs.load(Ordering::SeqCst);
    // The first line is the file's own.
    home.faults.sync_awaits_lines.store(9, Ordering::SeqCst);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let log = &log;
            scope.spawn(move || log.append(&event(number)).unwrap());
        }
    });
    let syncs = home.faults.syncs.load(Ordering::SeqCst) - before;
    assert!((1..=2).contains(&syncs), "{syncs}");
    assert_eq!(home.numbers().len(), 8);
    home.assert_intact();
}

#[test]
fn who_waits_for_a_disk_that_fails_is_refused_even_if_it_comes_back() {
    let mut home = Home::new();
    home.settings.sync = SyncMode::Always;
    let log = home.open();
    log.append(&event(1)).unwrap();
    *lock(&home.faults.sync) = Some(Errno::IO);
    assert_eq!(log.append(&event(2)).unwrap_err().why(), DISK);
    *lock(&home.faults.sync) = None;
    log.probe().unwrap();
    assert!(log.wait_until_synced(3).is_err(), "the line that was not synced is not taken for synced later");
    log.append(&event(3)).unwrap();
    home.assert_intact();
}

#[test]
fn a_disk_that_fails_at_the_end_of_a_file_refuses_who_waits_for_it_and_the_file_is_left() {
    let mut home = Home::new();
    (home.settings.sync, home.settings.max_file_bytes) = (SyncMode::Always, 1_500);
    let log = home.open();
    let mut number = 0;
    while home.text(1).len() < 1_300 {
        log.append(&event(number)).unwrap();
        number += 1;
    }
    *lock(&home.faults.sync) = Some(Errno::IO);
    (0..3).for_each(|_| assert_eq!(log.append(&event(100)).unwrap_err().why(), DISK));
    *lock(&home.faults.sync) = None;
    log.probe().unwrap();
    log.append(&event(101)).unwrap();
    assert!(home.text(2).contains(r#""n":101,"#));
    home.assert_intact();
}

#[test]
fn a_file_that_is_full_or_old_is_followed_by_another_that_goes_on_from_it() {
    let mut home = Home::new();
    home.settings.max_file_bytes = 4_000;
    let log = home.open();
    (0..100).for_each(|number| log.append(&event(number)).unwrap());
    let files = list(&home.directory()).unwrap();
    assert!(files.len() > 3);
    for file in &files {
        assert!(fs::metadata(&file.path).unwrap().len() < 5_000);
    }
    assert_eq!(home.numbers(), (0..100).collect::<Vec<_>>());
    assert_eq!(home.assert_intact().files, files.len() as u64);

    home.clock.advance_millis(24 * 3_600_000 - 1);
    log.tick();
    assert_eq!(list(&home.directory()).unwrap().len(), files.len());
    home.clock.advance_millis(1);
    log.tick();
    assert_eq!(list(&home.directory()).unwrap().len(), files.len() + 1);
    home.clock.advance_millis(48 * 3_600_000);
    log.tick();
    assert_eq!(list(&home.directory()).unwrap().len(), files.len() + 1, "a file without an event is not followed");
    home.assert_intact();
}

#[test]
fn what_is_no_longer_kept_is_recorded_before_it_goes() {
    let mut home = Home::new();
    (home.settings.max_file_bytes, home.settings.keep_files) = (4_000, Some(3));
    let log = home.open();
    let mut removed = 0;
    for round in 0..5 {
        (0..100).for_each(|number| log.append(&event(round * 100 + number)).unwrap());
        log.tick();
        let files = list(&home.directory()).unwrap();
        assert_eq!(files.len(), 3);
        assert!(files[0].number > removed);
        removed = files[0].number - 1;
        home.assert_intact();
    }
    assert!(home.kinds().contains(&"Cut".to_owned()));
    drop(log);
    let oldest = list(&home.directory()).unwrap().remove(0);
    fs::remove_file(&oldest.path).unwrap();
    let findings = home.verify().findings;
    assert_eq!(findings.len(), 1);
    assert!(findings[0].problem.starts_with("the files before it, up to line "), "{findings:?}");
}

#[test]
fn files_whose_last_line_is_too_old_are_not_kept() {
    let mut home = Home::new();
    home.settings.keep_seconds = Some(3 * 24 * 3600);
    let log = home.open();
    for day in 0..10 {
        log.append(&event(day)).unwrap();
        home.clock.advance_millis(24 * 3_600_000);
        log.tick();
    }
    let numbers: Vec<u64> = home.numbers();
    assert_eq!(numbers, [7, 8, 9]);
    home.assert_intact();
}

#[test]
fn an_end_that_was_edited_is_found_at_the_next_start_and_left_as_it_is() {
    let home = Home::new();
    let log = home.open();
    (0..1500).for_each(|number| log.append(&event(number)).unwrap());
    drop(log);
    let edited = home.text(1).replace(r#""n":1400,"#, r#""n":1401,"#);
    fs::write(home.path(1), &edited).unwrap();
    let log = home.open();
    let findings = log.findings();
    assert_eq!(findings.len(), 1);
    assert!(findings[0].contains("line 1403 at byte"), "{findings:?}");
    log.append(&event(1500)).unwrap();
    assert_eq!((home.text(1), home.notes()), (edited, findings));
    let found = home.verify().findings;
    assert_eq!((found.len(), found[0].line, found[0].file.as_str()), (1, 1403, name(1).as_str()));
    log.close();
    assert!(home.open().findings().is_empty(), "told once");
}

#[test]
fn an_end_that_was_cut_off_behind_a_checkpoint_is_found_where_it_was_noted() {
    let mut home = Home::new();
    let log = home.open();
    (0..10).for_each(|number| log.append(&event(number)).unwrap());
    log.close();
    home.kept = log.anchor().end;
    drop(log);
    assert!(home.kept.is_some());
    home.assert_intact();
    let text = home.text(1);
    let cut: String = text.split_inclusive('\n').take(5).collect();
    fs::write(home.path(1), cut).unwrap();
    assert_eq!(home.verify().findings.len(), 1);
    let log = home.open();
    assert!(log.findings()[0].contains("lines are missing"), "{:?}", log.findings());
    log.append(&event(10)).unwrap();
    log.close();
    home.kept = log.anchor().end;
    let found = home.verify().findings;
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        format!("{}, line 1: it goes on from line 12, but the file before it ends with line 5", name(2))
    );
}

#[test]
fn a_log_that_was_removed_as_a_whole_is_found_where_its_end_was_noted() {
    let mut home = Home::new();
    let log = home.open();
    log.append(&event(1)).unwrap();
    log.close();
    home.kept = log.anchor().end;
    drop(log);
    fs::remove_dir_all(home.directory()).unwrap();
    assert_eq!(home.verify().findings.len(), 1);
    let log = home.open();
    assert_eq!(log.findings().len(), 1);
    log.append(&event(2)).unwrap();
    log.close();
    home.kept = log.anchor().end;
    let found = home.verify().findings;
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn what_is_done_to_the_file_while_it_is_written_is_found_and_the_log_goes_on_elsewhere() {
    type Deed = fn(&Path);
    let deeds: [(&str, Deed); 5] = [
        ("was removed or renamed", |path| fs::remove_file(path).unwrap()),
        ("was removed or renamed", |path| fs::rename(path, path.with_extension("old")).unwrap()),
        ("was cut to ", |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(300).unwrap()),
        ("was replaced by another file", |path| {
            fs::copy(path, path.with_extension("new")).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }),
        ("bytes of somebody else's are at the end of ", |path| {
            io::Write::write_all(&mut fs::OpenOptions::new().append(true).open(path).unwrap(), b"x").unwrap();
        }),
    ];
    for (expected, deed) in deeds {
        let home = Home::new();
        let log = home.open();
        (0..5).for_each(|number| log.append(&event(number)).unwrap());
        deed(&home.path(1));
        log.tick();
        assert_eq!(log.findings().len(), 1, "{expected}");
        assert!(log.findings()[0].contains(expected), "{:?}", log.findings());
        log.append(&event(5)).unwrap();
        log.tick();
        assert_eq!(log.findings().len(), 1);
        assert!(home.text(2).contains(r#""n":5,"#));
        assert!(home.text(2).contains(expected));
    }
}

#[test]
fn denials_under_a_flood_become_few_lines_that_account_for_all() {
    let home = Home::new();
    let log = home.open();
    let peer = |last: u8| Some(IpAddr::from([10, 0, 0, last]));
    for number in 0..200 {
        log.append_denial(peer(1), event(number)).unwrap();
        log.append_denial(peer(2), event(number)).unwrap();
    }
    log.append_denial(None, event(500)).unwrap();
    assert_eq!(home.numbers().len(), 101);
    home.clock.advance_millis(1_000);
    *lock(&home.faults.room) = Some(0);
    log.tick();
    assert!(log.append_denial(peer(1), event(0)).is_err(), "a denial is refused as well");
    *lock(&home.faults.room) = None;
    log.tick();
    let repeated: u64 =
        home.lines().iter().filter_map(|line| line["annotations"][REPEATED].as_str()?.parse::<u64>().ok()).sum();
    assert_eq!(repeated, 300);
    assert_eq!(home.numbers().len(), 103);
    (0..60).for_each(|number| log.append_denial(peer(1), event(number)).unwrap());
    log.close();
    assert_eq!(home.numbers().len(), 103 + 50 + 1);
    home.assert_intact();
}

#[test]
fn threads_share_one_chain_without_a_gap() {
    let rounds = std::env::var("STRONGROOM_TEST_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    for _ in 0..rounds {
        let mut home = Home::new();
        home.settings.max_file_bytes = 400_000;
        let log = home.open();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let log = &log;
                scope.spawn(move || (0..1000).for_each(|number| log.append(&event(thread * 1000 + number)).unwrap()));
            }
            (0..50).for_each(|_| {
                home.clock.advance_millis(61_000);
                log.tick();
            });
        });
        log.close();
        let numbers = home.numbers();
        assert_eq!(numbers.len(), 8000);
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 8000);
        // Each thread's own events are in its order.
        for thread in 0..8 {
            assert!(numbers.iter().filter(|number| **number / 1000 == thread).is_sorted());
        }
        let report = home.assert_intact();
        assert_eq!(report.end.unwrap().sequence, report.lines);
    }
}
