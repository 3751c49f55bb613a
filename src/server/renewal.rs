//! Keeps the certificate of a running server good: looks once a minute, by the wall clock.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::SharedClock;
use crate::config::HomePaths;

use super::assembly::{Assembly, Signs};
use super::certificates::{CertificateError, OwnCertificate, Presented, renew_generated};

/// How often is looked.
pub const LOOK_EVERY: Duration = Duration::from_mins(1);

/// Where the certificate comes from.
pub enum Source {
    /// The home's authority.
    Generated,
    /// The user.
    Own(OwnCertificate),
}

/// What renewing takes.
pub struct Renewal {
    /// The home.
    pub paths: HomePaths,
    /// Where the certificate comes from.
    pub source: Source,
    /// What is presented now.
    pub presented: Presented,
    /// Holds the authority's key.
    pub assembly: Assembly,
    /// The wall clock.
    pub clock: SharedClock,
}

impl Renewal {
    /// Looks again and again; never returns.
    pub async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look(false);
        }
    }

    /// Replaces the certificate if it is time. `anyway` reads the user's files even if they look unchanged.
    pub fn look(&self, anyway: bool) {
        let now = self.clock.unix_seconds();
        let outcome = match &self.source {
            Source::Own(own) => own.reload(&self.paths, &self.presented, anyway, now),
            // An authority that ends soon is replaced at a start only, which tells clients in the kubeconfig.
            Source::Generated => match self.assembly.stored_authority(Signs::Server) {
                Ok(Some(authority)) => renew_generated(&self.paths, &authority, &self.presented, now),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "the certificate authority cannot be read; the certificate stays");
                    return;
                }
            },
        };
        report(outcome);
    }
}

/// Says what became of a look.
pub fn report(outcome: Result<bool, CertificateError>) {
    match outcome {
        Ok(true) => tracing::info!("the server's certificate was replaced"),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "the server's certificate was not replaced; the old one stays"),
    }
}
