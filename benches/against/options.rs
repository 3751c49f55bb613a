//! What to measure, how long, and where.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// The bench's command line.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench against --", about = "Strongroom against a bare handler and OpenBao, in turns")]
pub struct Options {
    /// What to measure [default: all but backup, rotate, scale and verify]
    #[arg(value_enum)]
    measures: Vec<Measure>,
    /// Turns that each server gets
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Length of one turn
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Connections where there are many
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Secrets in the list
    #[arg(long, default_value_t = 10_000)]
    pub listed: u64,
    /// Watchers of one namespace
    #[arg(long, default_value_t = 1_000)]
    pub watchers: usize,
    /// Secrets in the large home; with several sizes, each is compared with the first
    #[arg(long, value_delimiter = ',', default_value = "100000")]
    pub scale: Vec<u64>,
    /// Let OpenBao audit into a file, as Strongroom audits what changes
    #[arg(long)]
    pub openbao_audit: bool,
    /// Secrets that are synced
    #[arg(long, default_value_t = 10_000)]
    pub synced: u64,
    /// Folder for the homes, on the disk that is to be measured [default: in the target folder]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Cargo passes this to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// A group of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// Reads of one Secret
    Get,
    /// Durable creates
    Write,
    /// Lists, whole and in pages
    List,
    /// Many watchers, and a stuck one
    Watch,
    /// Reads that are recorded against reads that are not
    Audit,
    /// Changes whose former version is kept against changes that keep none
    History,
    /// Reads beside very many who sign in
    Logins,
    /// Many Secrets as one file
    Export,
    /// Secrets in environments and files of processes
    Deliver,
    /// Secrets into a genuine kube-apiserver, against applying them without a store
    Sync,
    /// What the KMS plugin encrypts and decrypts for a cluster
    Kms,
    /// Files scanned for values of the store, against grep
    Scan,
    /// Everything in a home with very many Secrets looked at, while no server runs
    Verify,
    /// An empty home: memory and start
    Empty,
    /// A new data key for very many Secrets, and reads meanwhile
    Rotate,
    /// A backup of a home with very many Secrets
    Backup,
    /// A home with very many Secrets
    Scale,
}

impl Options {
    /// What was asked for, in order.
    pub fn chosen(&self) -> Vec<Measure> {
        if self.measures.is_empty() {
            return vec![
                Measure::Empty,
                Measure::Get,
                Measure::Write,
                Measure::List,
                Measure::Watch,
                Measure::Audit,
                Measure::History,
                Measure::Logins,
                Measure::Export,
                Measure::Deliver,
                Measure::Sync,
                Measure::Kms,
                Measure::Scan,
            ];
        }
        self.measures.clone()
    }

    /// Run by `cargo test --all-targets`, which is no time to measure.
    pub fn is_by_the_way(&self) -> bool {
        self.measures.is_empty() && !self.bench
    }

    /// Where homes are made.
    pub fn folder(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")))
    }

    /// One turn.
    pub fn turn(&self) -> Duration {
        Duration::try_from_secs_f64(self.seconds).unwrap_or(Duration::from_secs(2)).max(Duration::from_millis(100))
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::Write => "write",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Audit => "audit",
            Self::History => "history",
            Self::Logins => "logins",
            Self::Export => "export",
            Self::Deliver => "deliver",
            Self::Sync => "sync",
            Self::Kms => "kms",
            Self::Scan => "scan",
            Self::Verify => "verify",
            Self::Empty => "empty",
            Self::Rotate => "rotate",
            Self::Backup => "backup",
            Self::Scale => "scale",
        })
    }
}
