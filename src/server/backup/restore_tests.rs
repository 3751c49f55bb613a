//! What is numbered anew, and a restore that is cut off between any two of its last steps.

use super::*;

const NOW: i64 = 1_790_000_000;

#[test]
fn epochs_and_revisions_rise_whatever_the_clock_says_and_differ_from_restore_to_restore() {
    for now in [NOW, 0, -1, i64::MIN] {
        for former in [[0, 0], [7, 3], [3, 7], [1 << 52, 0]] {
            assert!(next_epoch(former, now, 0) > former[0].max(former[1]), "{now} {former:?}");
            assert!(next_revision(former, now) >= former[0].max(former[1]) + LEAST_GAP);
        }
    }
    assert_ne!(next_epoch([5, 0], NOW, 1), next_epoch([5, 0], NOW, 2));
    assert!(next_epoch([5, 0], NOW + 1, 0) > next_epoch([5, 0], NOW, u32::MAX));
    // Of two homes that go on from one backup a second apart, the first would have to give out a million revisions.
    assert_eq!(next_revision([5, 0], NOW * 1000 + 1) - next_revision([5, 0], NOW * 1000), REVISIONS_PER_MILLI);
    // Clients read these numbers as floating point, some of them.
    assert!(next_epoch([0, 0], NOW, u32::MAX) < 1 << 53 && next_revision([0, 0], NOW * 1000) < 1 << 53);
}

fn home(folder: &Path, with_former: bool) -> HomePaths {
    let paths = HomePaths::in_directory(folder.to_owned());
    if with_former {
        fs::write(paths.database(), "former database").unwrap();
        fs::write(paths.write_ahead_log(), "former log").unwrap();
        fs::create_dir(paths.audit()).unwrap();
        fs::write(paths.audit().join("audit-1"), "former audit").unwrap();
    }
    fs::write(paths.kubeconfig(), "kubeconfig").unwrap();
    fs::write(folder.join("strongroom.db.restored-20260921T141320Z"), "restored database").unwrap();
    paths
}

#[test]
fn a_restore_that_is_cut_off_anywhere_is_finished_by_whoever_comes_next() {
    for steps in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let paths = home(folder.path(), true);
        assert_eq!(finish_in(&paths, steps).unwrap(), None, "{steps}");
        assert!(is_pending(&paths) && !home::is_new(&paths).unwrap(), "{steps}");
        let kept = finish(&paths).unwrap().unwrap();
        assert_eq!(kept, folder.path().join("before-restore-20260921T141320Z"));
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        assert_eq!(read(paths.database()), "restored database", "{steps}");
        assert_eq!(read(kept.join("strongroom.db")), "former database", "{steps}");
        assert_eq!(read(kept.join("strongroom.db-wal")), "former log", "{steps}");
        assert_eq!(read(kept.join("audit/audit-1")), "former audit", "{steps}");
        assert_eq!(read(paths.kubeconfig()), "kubeconfig");
        assert!(!paths.write_ahead_log().exists() && !paths.audit().exists() && !is_pending(&paths));
        assert_eq!(finish(&paths).unwrap(), None, "there is nothing more to do");
        assert_eq!(read(paths.database()), "restored database");
    }
}

#[test]
fn into_an_empty_home_nothing_has_to_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let paths = home(folder.path(), false);
    assert_eq!(finish(&paths).unwrap(), None);
    assert_eq!(fs::read_to_string(paths.database()).unwrap(), "restored database");
    assert!(!folder.path().join("before-restore-20260921T141320Z").exists());
}
