//! `strongroom secret destroy`: former versions that are to be gone for good.
//!
//! What it never does: touch the Secret itself.

use clap::Args;

use super::place::SecretName;
use super::revision::{self, Wanted, of_secret};
use super::writing::WriteOptions;
use crate::cli::output::print;
use crate::cli::{CliError, completion};
use crate::config::Environment;
use crate::kube_client::{Request, encode_segment};

/// Options of `secret destroy`.
#[derive(Args)]
pub struct Destroy {
    /// The Secret; it may be deleted
    #[arg(value_name = "[NAMESPACE/]NAME", value_parser = SecretName::parse, add = completion::secrets())]
    secret: SecretName,
    /// Numbers of revisions, or their names
    #[arg(value_name = "REVISION", value_parser = Wanted::parse, required_unless_present = "all")]
    revisions: Vec<Wanted>,
    /// All that are kept, those of former Secrets of this name too; the current one stays
    #[arg(long, conflicts_with = "revisions")]
    all: bool,
    #[command(flatten)]
    write: WriteOptions,
}

impl Destroy {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let place = self.write.place(environment)?;
        let id = place.id(&self.secret);
        let all = revision::all(&place, &id)?;
        let done = if self.write.dry_run { "would be destroyed (dry run)" } else { "destroyed" };
        if self.all {
            let former: Vec<_> = all.iter().filter(|one| !one.is_current()).collect();
            if former.is_empty() {
                return Err(CliError::NotDone(format!("no former version of Secret {id} is kept")));
            }
            let request = Request::delete(revision::collection(&id.namespace)).with("fieldSelector", of_secret(&id));
            place.connection.object(self.write.request(request))?;
            for one in former {
                print(&format!("secretrevision/{} {done}\n", one.name()));
            }
            return Ok(());
        }
        // All are found before the first is gone.
        let wanted = self.revisions.iter().map(|wanted| revision::find(&all, &id, wanted));
        for one in wanted.collect::<Result<Vec<_>, _>>()? {
            let path = format!("{}/{}", revision::collection(&id.namespace), encode_segment(one.name()));
            place.connection.object(self.write.request(Request::delete(path)))?;
            print(&format!("secretrevision/{} {done}\n", one.name()));
        }
        Ok(())
    }
}
