//! A log over real files, behind a sink that fails when it is told to.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use serde_json::Value;
use tempfile::TempDir;

use super::super::super::event::LOG;
use super::super::super::files::{list, name};
use super::super::super::sink::SinkState;
use super::super::super::verify::{Report, Trust, verify_log};
use super::super::*;
use crate::clock::ManualClock;

pub const BEGUN: i64 = 1_790_000_000_000;

/// What the sinks of a log are to do.
#[derive(Default)]
pub struct Faults {
    /// Bytes until no more are taken.
    pub room: Mutex<Option<usize>>,
    /// What is said then; nothing is a full disk.
    pub no_room: Mutex<Option<Errno>>,
    /// The most that one write takes.
    pub piece: Mutex<Option<usize>>,
    pub write: Mutex<Option<Errno>>,
    pub sync: Mutex<Option<Errno>>,
    pub truncate: Mutex<Option<Errno>>,
    pub open: Mutex<Option<Errno>>,
    pub syncs: AtomicU64,
    /// The next sync waits until so many lines were written.
    pub sync_awaits_lines: AtomicU64,
    pub lines: Mutex<u64>,
    pub written: Condvar,
}

pub struct Faulty {
    pub file: File,
    pub faults: Arc<Faults>,
}

pub fn fail(fault: &Mutex<Option<Errno>>) -> io::Result<()> {
    lock(fault).map_or(Ok(()), |errno| Err(errno.into()))
}

impl Sink for Faulty {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        fail(&self.faults.write)?;
        let mut room = lock(&self.faults.room);
        let piece = lock(&self.faults.piece).unwrap_or(bytes.len());
        let taken = room.unwrap_or(bytes.len()).min(bytes.len()).min(piece);
        if taken == 0 {
            return Err(lock(&self.faults.no_room).unwrap_or(Errno::NOSPC).into());
        }
        if let Some(room) = room.as_mut() {
            *room -= taken;
        }
        let written = Sink::write(&self.file, &bytes[..taken])?;
        *lock(&self.faults.lines) += 1;
        self.faults.written.notify_all();
        Ok(written)
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.syncs.fetch_add(1, Ordering::SeqCst);
        let awaited = self.faults.sync_awaits_lines.swap(0, Ordering::SeqCst);
        let lines = lock(&self.faults.lines);
        drop(self.faults.written.wait_while(lines, |lines| *lines < awaited).unwrap());
        fail(&self.faults.sync)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        fail(&self.faults.truncate)?;
        Sink::truncate(&self.file, length)
    }

    fn state(&self) -> io::Result<SinkState> {
        self.file.state()
    }
}

pub struct Home {
    pub folder: TempDir,
    pub keyring: Arc<Keyring>,
    pub clock: Arc<ManualClock>,
    pub faults: Arc<Faults>,
    pub settings: Settings,
    pub kept: Option<ChainEnd>,
}

impl Home {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            keyring: Arc::new(Keyring::make(0).unwrap()),
            clock: Arc::new(ManualClock::new(BEGUN)),
            faults: Arc::default(),
            settings: Settings::default(),
            kept: None,
        }
    }

    pub fn directory(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    pub fn try_open(&self) -> Result<AuditLog, OpenError> {
        let faults = Arc::clone(&self.faults);
        let options = OpenOptions {
            directory: self.directory(),
            keyring: Arc::clone(&self.keyring),
            clock: Arc::clone(&self.clock) as SharedClock,
            settings: self.settings,
            kept: self.kept,
            begins_behind: 0,
            mutations_end: Box::new(|| Some(ChainEnd { sequence: 3, link: [3; 32] })),
        };
        AuditLog::open_with(
            options,
            Box::new(move |file| {
                fail(&faults.open)?;
                Ok(Arc::new(Faulty { file, faults: Arc::clone(&faults) }))
            }),
        )
    }

    pub fn open(&self) -> AuditLog {
        self.try_open().unwrap()
    }

    pub fn path(&self, number: u64) -> PathBuf {
        self.directory().join(name(number))
    }

    pub fn text(&self, number: u64) -> String {
        fs::read_to_string(self.path(number)).unwrap()
    }

    pub fn lines(&self) -> Vec<Value> {
        let files = list(&self.directory()).unwrap();
        let texts = files.iter().map(|file| fs::read_to_string(&file.path).unwrap());
        texts
            .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>())
            .collect()
    }

    /// The numbers of the events that tests write.
    pub fn numbers(&self) -> Vec<u64> {
        self.lines().iter().filter_map(|line| line["n"].as_u64()).collect()
    }

    /// What the log has recorded of itself.
    pub fn notes(&self) -> Vec<String> {
        let notes = self.lines().into_iter().filter_map(|line| Some(line["annotations"][LOG].as_str()?.to_owned()));
        notes.collect()
    }

    pub fn kinds(&self) -> Vec<String> {
        self.lines().iter().map(|line| line["kind"].as_str().unwrap().to_owned()).collect()
    }

    pub fn verify(&self) -> Report {
        verify_log(&self.directory(), Trust::Keyring(&self.keyring), self.kept).unwrap()
    }

    pub fn assert_intact(&self) -> Report {
        let report = self.verify();
        assert!(report.is_intact(), "{:#?}", report.findings);
        report
    }
}

pub fn event(number: u64) -> Vec<u8> {
    format!(r#"{{"kind":"Event","n":{number},"annotations":{{}}}}"#).into_bytes()
}
