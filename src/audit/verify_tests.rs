//! Every way to change a log: what is found, where, and with which key.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::super::files::name;
use super::super::{AuditLog, OpenOptions, Settings};
use super::*;
use crate::clock::{ManualClock, SharedClock};
use crate::crypto::RecordId;
use crate::sensitive::SecretBytes;

/// A log of a few files, each ended with a checkpoint.
struct Home {
    folder: TempDir,
    keyring: Arc<Keyring>,
    kept: Option<ChainEnd>,
    max_file_bytes: u64,
}

impl Home {
    fn of_events(count: u32, max_file_bytes: u64) -> Self {
        let (folder, keyring) = (tempfile::tempdir().unwrap(), Arc::new(Keyring::make(0).unwrap()));
        let mut home = Self { folder, keyring, kept: None, max_file_bytes };
        let log = home.open();
        for number in 0..count {
            log.append(format!(r#"{{"kind":"Event","n":{number},"annotations":{{}}}}"#).as_bytes()).unwrap();
        }
        log.close();
        home.kept = log.anchor().end;
        home
    }

    fn open(&self) -> AuditLog {
        AuditLog::open(OpenOptions {
            directory: self.folder.path().to_owned(),
            keyring: Arc::clone(&self.keyring),
            clock: Arc::new(ManualClock::new(1_790_000_000_000)) as SharedClock,
            settings: Settings { max_file_bytes: self.max_file_bytes, ..Settings::default() },
            kept: None,
            begins_behind: 0,
            mutations_end: Box::new(|| Some(ChainEnd { sequence: 5, link: [5; 32] })),
        })
        .unwrap()
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.path().join(name(number))
    }

    fn lines(&self, number: u64) -> Vec<Vec<u8>> {
        let bytes = fs::read(self.path(number)).unwrap();
        bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }

    fn write(&self, number: u64, lines: &[Vec<u8>]) {
        fs::write(self.path(number), lines.concat()).unwrap();
    }

    fn with_keyring(&self) -> Report {
        verify_log(self.folder.path(), Trust::Keyring(&self.keyring), self.kept).unwrap()
    }

    fn with_public_key(&self) -> Report {
        let key = self.keyring.derive_audit_signer().public_key();
        verify_log(self.folder.path(), Trust::PublicKey(&key), None).unwrap()
    }

    /// Changes the lines of a file, looks with both keys, and changes them back.
    fn tampered(&self, number: u64, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> (Vec<Finding>, Vec<Finding>) {
        let before = self.lines(number);
        let mut lines = before.clone();
        change(&mut lines);
        assert!(lines != before);
        self.write(number, &lines);
        let found = (self.with_keyring().findings, self.with_public_key().findings);
        self.write(number, &before);
        found
    }
}

#[test]
fn a_log_that_nobody_has_changed_is_intact_with_either_key() {
    let home = Home::of_events(30, 1_500);
    for report in [home.with_keyring(), home.with_public_key()] {
        assert!(report.is_intact(), "{:#?}", report.findings);
        assert_eq!((report.events, report.unsigned_lines, report.torn_bytes), (30, 0, 0));
        assert!(report.files > 3 && report.checkpoints == report.files);
        assert_eq!(report.end.unwrap().sequence, report.lines);
        assert_eq!(report.mutations, [(5, [5; 32])].into());
    }
}

#[test]
fn a_byte_that_was_changed_anywhere_is_found_in_its_line_or_by_its_signature() {
    let home = Home::of_events(6, 900);
    assert_eq!(home.with_keyring().files, 2);
    for number in [1, 2] {
        let file = fs::OpenOptions::new().write(true).open(home.path(number)).unwrap();
        let lines = home.lines(number);
        let mut offset = 0;
        for (at, line) in lines.iter().enumerate() {
            for (byte, value) in line.iter().enumerate() {
                // In place: to write a file anew would wait for the disk.
                file.write_all_at(&[value ^ 4], offset).unwrap();
                let (keyring, public) = (home.with_keyring().findings, home.with_public_key().findings);
                file.write_all_at(&[*value], offset).unwrap();
                offset += 1;
                let what = format!("file {number}, line {at}, byte {byte}: {keyring:?}");
                // The last line of all is vouched for by nothing behind it, but for what is signed in it.
                let is_last = number == 2 && at + 1 == lines.len();
                let chain = line.len() - b",\"chain\":{\"sequence\":10,\"link\":\"\"}}\n".len() - 64;
                assert!(!public.is_empty() || (is_last && byte >= chain), "{what}");
                let place = u64::try_from(at).unwrap() + 1;
                let is_named = keyring.iter().any(|found| found.file == name(number) && found.line == place);
                // With a line's end gone the numbers of lines shift.
                assert!(is_named || (byte + 1 == line.len() && !keyring.is_empty()), "{what}");
            }
        }
    }
    assert!(home.with_keyring().is_intact());
}

#[test]
fn an_edit_is_one_finding_that_names_file_and_line() {
    let home = Home::of_events(30, 2_500);
    let (keyring, public) = home.tampered(2, |lines| lines[3][18] ^= 1);
    assert_eq!(keyring.len(), 1);
    let found = keyring[0].to_string();
    assert_eq!(found, format!("{}, line 4: the line was changed, or is not the one that was written here", name(2)));
    assert_eq!(public.len(), 1);
    assert!(public[0].problem.contains("not those that were signed"), "{public:?}");
}

#[test]
fn lines_taken_out_put_in_doubled_or_moved_are_found() {
    type Change = fn(&mut Vec<Vec<u8>>);
    let home = Home::of_events(60, 2_500);
    let changes: [(&str, Change); 8] = [
        ("one taken out", |lines| drop(lines.remove(4))),
        ("several taken out", |lines| drop(lines.drain(2..5))),
        ("the first taken out", |lines| drop(lines.remove(0))),
        ("the last taken out", |lines| drop(lines.pop())),
        ("one put in", |lines| lines.insert(4, b"{\"kind\":\"Event\"}\n".to_vec())),
        ("one doubled", |lines| lines.insert(4, lines[4].clone())),
        ("two exchanged", |lines| lines.swap(3, 4)),
        ("an empty line", |lines| lines.insert(2, b"\n".to_vec())),
    ];
    for (what, change) in changes {
        let (keyring, public) = home.tampered(2, change);
        assert!(!keyring.is_empty() && keyring.len() <= 3, "{what}: {keyring:?}");
        assert!(!public.is_empty(), "{what}");
    }
}

#[test]
fn a_file_that_is_missing_replaced_or_out_of_place_is_found() {
    let home = Home::of_events(60, 2_500);
    let files = home.with_keyring().files;
    assert!(files >= 4);
    for number in 1..=files {
        let away = home.folder.path().join("away");
        fs::rename(home.path(number), &away).unwrap();
        let (keyring, public) = (home.with_keyring().findings, home.with_public_key().findings);
        assert_eq!(keyring.len(), 1, "{number}: {keyring:?}");
        // Without the store nobody knows that there was more.
        assert_eq!(public.len(), usize::from(number < files), "{number}: {public:?}");
        fs::rename(&away, home.path(number)).unwrap();
    }
    let (two, three) = (home.lines(2), home.lines(3));
    home.write(2, &three);
    home.write(3, &two);
    assert!(!home.with_keyring().is_intact() && !home.with_public_key().is_intact());
    home.write(2, &two);
    home.write(3, &three);
    fs::write(home.path(3), b"").unwrap();
    assert!(!home.with_keyring().is_intact() && !home.with_public_key().is_intact());
}

#[test]
fn an_end_that_was_cut_off_is_found_where_it_was_noted() {
    let home = Home::of_events(30, 2_500);
    let last = home.with_keyring().files;
    for kept_lines in 0..home.lines(last).len() {
        let before = home.lines(last);
        home.write(last, &before[..kept_lines]);
        let findings = home.with_keyring().findings;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].problem.contains("lines are missing"));
        home.write(last, &before);
    }
}

#[test]
fn half_a_line_at_the_very_end_is_told_and_no_finding_but_elsewhere_it_is_one() {
    let home = Home::of_events(30, 2_500);
    let last = home.with_keyring().files;
    let mut lines = home.lines(last);
    lines.push(b"{\"kind\":\"Ev".to_vec());
    home.write(last, &lines);
    let report = home.with_keyring();
    assert_eq!((report.torn_bytes, report.is_intact()), (11, true));
    let (keyring, public) = home.tampered(1, |lines| lines.push(b"{\"kind\":\"Ev".to_vec()));
    assert_eq!((keyring.len(), public.len()), (1, 1));
}

#[test]
fn a_log_of_another_store_is_found_with_any_key() {
    let (home, other) = (Home::of_events(6, 900), Home::of_events(6, 900));
    for number in [1, 2] {
        home.write(number, &other.lines(number));
    }
    assert!(!home.with_keyring().is_intact() && !home.with_public_key().is_intact());
}

#[test]
fn findings_are_bounded() {
    let home = Home::of_events(0, 900);
    fs::write(home.path(1), "garbage\n".repeat(1500)).unwrap();
    let report = home.with_keyring();
    assert_eq!((report.findings.len(), report.more_findings), (1000, 501));
}

/// Records of mutations, and the end of their chain.
fn mutations(keyring: &Keyring, count: u64) -> (Vec<AuditRow>, ChainEnd) {
    let mut end = ChainEnd { sequence: 0, link: keyring.audit_start("mutations") };
    let rows = (1..=count).map(|sequence| {
        let id = RecordId {
            table: crate::crypto::Table::Audit,
            kind: "Event",
            namespace: "",
            name: "",
            uid: [0; 16],
            revision: sequence,
            flags: 1,
        };
        let text = SecretBytes::new(b"{}".to_vec());
        let sealed = keyring.seal(&id, &text, &SecretBytes::new(Vec::new())).unwrap();
        end = ChainEnd { sequence, link: keyring.audit_link(&end.link, sealed.meta()) };
        AuditRow { sequence, sealed, link: end.link }
    });
    (rows.collect(), end)
}

fn check(rows: &[AuditRow], keyring: &Keyring, head: ChainEnd, named: &[(u64, [u8; 32])]) -> Vec<String> {
    let log = Report { mutations: named.iter().copied().collect(), ..Report::default() };
    let removed = ChainEnd { sequence: 0, link: keyring.audit_start("mutations") };
    check_behind(rows, keyring, &KeptMutations { removed, removed_now: &|| removed, head }, &log)
}

fn check_behind(rows: &[AuditRow], keyring: &Keyring, kept: &KeptMutations<'_>, log: &Report) -> Vec<String> {
    let (findings, _) = verify_mutations(rows.iter().cloned().map(Ok::<_, String>), kept, keyring, log);
    findings.iter().map(ToString::to_string).collect()
}

#[test]
fn records_of_mutations_that_were_changed_moved_or_removed_are_found() {
    let keyring = Keyring::make(0).unwrap();
    let (rows, end) = mutations(&keyring, 6);
    assert!(check(&rows, &keyring, end, &[(4, rows[3].link)]).is_empty());
    assert!(check(&[], &keyring, ChainEnd { sequence: 0, link: keyring.audit_start("mutations") }, &[]).is_empty());

    let mut edited = rows.clone();
    edited[2].sealed = rows[1].sealed.clone();
    assert_eq!(check(&edited, &keyring, end, &[]).len(), 2, "link and authentication");
    let mut removed = rows.clone();
    removed.remove(2);
    assert_eq!(check(&removed, &keyring, end, &[]), ["records of mutations between 2 and 4 are missing"]);
    let mut swapped = rows.clone();
    swapped.swap(1, 2);
    assert!(!check(&swapped, &keyring, end, &[]).is_empty());
    assert_eq!(check(&rows[..5], &keyring, end, &[]).len(), 1);
    assert_eq!(check(&[], &keyring, end, &[]).len(), 1);
}

#[test]
fn a_database_that_was_rolled_back_as_a_whole_is_found_by_the_checkpoints_of_the_log() {
    let keyring = Keyring::make(0).unwrap();
    let (rows, _) = mutations(&keyring, 6);
    let older = ChainEnd { sequence: 4, link: rows[3].link };
    assert!(check(&rows[..4], &keyring, older, &[(4, rows[3].link)]).is_empty());
    let found = check(&rows[..4], &keyring, older, &[(6, rows[5].link)]);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("the database is an older one"), "{found:?}");
    assert_eq!(check(&rows, &keyring, mutations(&keyring, 6).1, &[(2, [0; 32])]).len(), 2);
}

#[test]
fn copies_of_records_that_the_database_has_not_are_found_without_a_checkpoint() {
    let report = |copied, named: &[u64]| Report {
        copied,
        mutations: named.iter().map(|number| (*number, [0; 32])).collect(),
        ..Report::default()
    };
    assert_eq!(report(44, &[40]).copied_beyond(44), None);
    let found = report(45, &[40]).copied_beyond(44).unwrap().to_string();
    assert!(found.contains("mutations up to 45, but the database ends with 44"), "{found}");
    assert_eq!(report(45, &[45]).copied_beyond(44), None, "the checkpoint's is told");
}

#[test]
fn records_that_were_removed_must_be_copied_and_the_rest_goes_on_from_the_last_of_them() {
    let keyring = Keyring::make(0).unwrap();
    let (rows, head) = mutations(&keyring, 6);
    let end = |number: usize| ChainEnd { sequence: number as u64, link: rows[number - 1].link };
    let copied = |copied| Report { copied, ..Report::default() };
    let check = |rows: &[AuditRow], removed, now, log| {
        check_behind(rows, &keyring, &KeptMutations { removed, removed_now: &|| now, head }, &log)
    };
    assert_eq!(check(&rows[2..], end(2), end(2), copied(2)), [""; 0]);
    assert_eq!(check(&[], end(6), end(6), copied(6)), [""; 0]);
    let uncopied = check(&rows[2..], end(2), end(2), copied(1));
    assert_eq!(uncopied, ["the log has copies of the records of mutations up to 1, but had them up to 2"]);
    assert_eq!(check(&rows[3..], end(2), end(2), copied(4)), ["records of mutations between 2 and 4 are missing"]);
    let foreign = ChainEnd { link: [0; 32], ..end(2) };
    assert_eq!(check(&rows[2..], foreign, foreign, copied(4)).len(), 1);

    // The store goes on removing while it is checked.
    assert_eq!(check(&rows[4..], end(2), end(4), copied(4)), [""; 0]);
    assert_eq!(check(&[], end(2), end(6), copied(4)), [""; 0]);
    let named = Report { copied: 6, mutations: [(6, rows[5].link)].into(), ..Report::default() };
    assert_eq!(check(&[], end(2), end(6), named), [""; 0], "what a checkpoint names was there, too");
    assert_eq!(check(&rows[5..], end(2), end(4), copied(4)), ["records of mutations between 4 and 6 are missing"]);
}

#[test]
fn a_copy_that_is_missing_from_the_log_is_found_and_one_that_is_there_twice_is_none() {
    let copy = |number| (number, SecretBytes::new(br#"{"kind":"Event","annotations":{}}"#.to_vec()));
    let home = Home::of_events(1, 1 << 20);
    let log = home.open();
    log.append_copies((1..=4).map(copy).collect()).unwrap();
    log.close();
    let report = home.with_keyring();
    assert_eq!((report.findings, report.copied), (vec![], 4));

    // Behind what another writer left out: every line is linked and signed, only the numbers tell.
    let log = home.open();
    log.append_copies(vec![copy(7)]).unwrap();
    log.close();
    for report in [home.with_keyring(), home.with_public_key()] {
        let found: Vec<_> = report.findings.iter().map(|finding| finding.problem.as_str()).collect();
        assert_eq!(found, ["the copies of the records of mutations between 4 and 6 are missing"]);
        assert_eq!(report.copied, 7);
    }
}
