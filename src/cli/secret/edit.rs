//! `strongroom secret edit`: a Secret in an editor.
//!
//! What it never does: leave a draft behind (but for a kill -9), or change anything where the editor failed.

use std::cell::Cell;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};

use super::draft::{Content, Original};
use super::place::{Id, Place, SecretName};
use super::writing::WriteOptions;
use crate::cli::connection::{body, read_bounded};
use crate::cli::run::Signals;
use crate::cli::{CliError, completion, note, warn};
use crate::config::Environment;
use crate::deliver::PrivateRoot;
use crate::kube_client::Request;
use crate::sensitive::{Document, SecretBytes};

const DRAFT_MAX_BYTES: u64 = 8 * 1024 * 1024;
const DEFAULT_EDITOR: &str = "vi";
/// What an editor has to restore the terminal, where it is told to end.
const GRACE: Duration = Duration::from_secs(3);

/// Options of `secret edit`.
#[derive(Args)]
pub struct Edit {
    /// The Secret
    #[arg(value_name = "[NAMESPACE/]NAME", value_parser = SecretName::parse, add = completion::secrets())]
    secret: SecretName,
    #[command(flatten)]
    write: WriteOptions,
}

impl Edit {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let place = self.write.place(environment)?;
        let id = place.id(&self.secret);
        place.connection.wait_for(async |_| {
            // From here on a signal ends the work, and with it the draft.
            let mut signals = Signals::to_end()
                .map_err(|error| CliError::NotDone(format!("signals cannot be waited for: {error}")))?;
            let editor = Editor::of(environment);
            let mut work = Box::pin(self.edit(&place, &id, &editor, environment));
            let signal = tokio::select! {
                done = &mut work => return done,
                signal = signals.next() => signal,
            };
            if editor.end() {
                let _ = tokio::time::timeout(GRACE, &mut work).await;
            }
            drop(work);
            Err(CliError::Ended(128_u8.wrapping_add(u8::try_from(signal.as_raw()).unwrap_or(0))))
        })
    }

    async fn edit(&self, place: &Place, id: &Id, editor: &Editor, environment: &Environment) -> Result<(), CliError> {
        let mut original = self.read(place, id).await?;
        let draft = Draft::make(environment, &id.name)?;
        let mut offered = original.draft();
        // Why the draft is offered again, where saving it as it is gives up.
        let mut pending: Option<CliError> = None;
        let mut saves_as_it_is = false;
        let why_not = loop {
            draft.write(&offered)?;
            let ended = editor.run(&draft.path).await?;
            if !ended.success() {
                return Err(CliError::NotDone(format!("the editor failed ({ended}): nothing was changed")));
            }
            let saved = draft.read()?;
            #[expect(clippy::disallowed_methods, reason = "what was saved is compared with what was offered")]
            let is_as_offered = saved.expose() == offered.expose();
            if is_as_offered && !saves_as_it_is {
                if let Some(error) = pending {
                    return Err(error);
                }
                break "the draft was saved as it was";
            }
            let edited = match original.read_draft(&saved) {
                Ok(Some(edited)) => edited,
                Ok(None) => break "the draft was emptied",
                Err(problems) => {
                    offered = original.offer_again(&saved, &problems);
                    pending = Some(CliError::NotDone(format!("nothing was changed: {}", problems.join("; "))));
                    saves_as_it_is = false;
                    continue;
                }
            };
            let Some(patch) = original.patch(&edited) else {
                break "no value is another";
            };
            let patch = Document::new(serde_json::Value::Object(patch));
            let request = self.write.request(Request::merge_patch(id.path(), body(&patch)));
            match place.connection.answer(request).await {
                Ok(_) => {
                    self.write.tell(id, "changed", "");
                    return Ok(());
                }
                Err(CliError::Server(failure)) if failure.code == 409 => {
                    let told = self.follow(place, id, &mut original, &edited).await?;
                    warn(&told);
                    offered = original.offer_again(&saved, &[told]);
                    (pending, saves_as_it_is) = (None, true);
                }
                Err(error) => {
                    let told = format!("{error}\nNothing was changed. To try again, take this line away and save.");
                    offered = original.offer_again(&saved, &[told]);
                    (pending, saves_as_it_is) = (Some(error), false);
                }
            }
        };
        note(&format!("nothing was changed: {why_not}"));
        Ok(())
    }

    async fn read(&self, place: &Place, id: &Id) -> Result<Original, CliError> {
        Original::read(id, &place.connection.answer(Request::get(id.path())).await?)
    }

    /// The state that somebody else has made meanwhile.
    async fn follow(
        &self,
        place: &Place,
        id: &Id,
        original: &mut Original,
        edited: &Content,
    ) -> Result<String, CliError> {
        let now = self.read(place, id).await?;
        if now.state.uid != original.state.uid {
            return Err(CliError::NotDone(format!(
                "nothing was changed: {id} was deleted and made anew by somebody else meanwhile"
            )));
        }
        Ok(original.follow(now, edited))
    }
}

/// A file that only the user can read, in a folder that only the user may enter, in memory where there is such a place.
/// Wiped when dropped.
struct Draft {
    root: Option<PrivateRoot>,
    path: PathBuf,
}

impl Draft {
    fn make(environment: &Environment, name: &str) -> Result<Self, CliError> {
        let places =
            [environment.absolute_path("XDG_RUNTIME_DIR"), Some(PathBuf::from("/dev/shm")), Some(std::env::temp_dir())];
        let places: Vec<PathBuf> = places.into_iter().flatten().collect();
        let root = PrivateRoot::make(&places)
            .map_err(|error| CliError::NotDone(format!("there is no place for a draft: {error}")))?;
        if !root.is_in_memory() {
            warn(&format!(
                "there is no place in memory for the draft: it is in {}, on a disk, where what is removed may still be found; \
                 set XDG_RUNTIME_DIR to a folder in memory",
                root.path().display()
            ));
        }
        let path = root.path().join(format!("{name}.yaml"));
        Ok(Self { root: Some(root), path })
    }

    fn fail(&self, error: &std::io::Error) -> CliError {
        CliError::NotDone(format!("the draft {}: {error}: nothing was changed", self.path.display()))
    }

    #[expect(clippy::disallowed_methods, reason = "the draft is what the editor is given")]
    fn write(&self, text: &SecretBytes) -> Result<(), CliError> {
        // What lies there is wiped first: it may be longer.
        wipe(&self.path);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.path);
        file.and_then(|mut file| file.write_all(text.expose())).map_err(|error| self.fail(&error))
    }

    fn read(&self) -> Result<SecretBytes, CliError> {
        read_bounded(&self.path, DRAFT_MAX_BYTES)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let Some(root) = self.root.take() else { return };
        // With what editors put beside it.
        let files = fs::read_dir(root.path()).into_iter().flatten().flatten();
        files.for_each(|file| wipe(&file.path()));
        let path = root.path().to_owned();
        if let Err(error) = root.remove() {
            warn(&format!("the draft in {} could not be removed: {error}", path.display()));
        }
    }
}

/// Writes over what a file holds. Where it cannot be, it is removed all the same.
fn wipe(path: &Path) {
    let Ok(found) = fs::symlink_metadata(path) else { return };
    if !found.is_file() {
        return;
    }
    if let Ok(mut file) = OpenOptions::new().write(true).open(path) {
        let zeros = [0; 4096];
        let mut left = found.len();
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(zeros.len()).min(zeros.len());
            if file.write_all(zeros.get(..count).unwrap_or_default()).is_err() {
                return;
            }
            left -= u64::try_from(count).unwrap_or(left);
        }
    }
}

/// The editor, and whether it runs.
struct Editor {
    line: String,
    running: Cell<Option<Pid>>,
}

impl Editor {
    /// `$VISUAL`, else `$EDITOR`, else vi.
    fn of(environment: &Environment) -> Self {
        let line = ["VISUAL", "EDITOR"].into_iter().find_map(|name| environment.text(name).ok().flatten());
        Self { line: line.unwrap_or_else(|| DEFAULT_EDITOR.to_owned()), running: Cell::new(None) }
    }

    /// Runs it to its end. Words are split at blanks; with quotes and the like a shell does it, as for kubectl.
    async fn run(&self, path: &Path) -> Result<ExitStatus, CliError> {
        let mut command = if self.line.contains(['"', '\'', '\\', '$', '`', '|', ';', '&', '<', '>', '(']) {
            let mut command = tokio::process::Command::new("sh");
            command.arg("-c").arg(format!("{} \"$@\"", self.line)).arg("sh");
            command
        } else {
            let mut words = self.line.split_whitespace();
            let mut command = tokio::process::Command::new(words.next().unwrap_or(DEFAULT_EDITOR));
            command.args(words);
            command
        };
        let failed = |error: std::io::Error| {
            CliError::NotDone(format!(
                "the editor {} cannot be run ({error}): set EDITOR; nothing was changed",
                self.line
            ))
        };
        let mut child = command.arg(path).kill_on_drop(true).spawn().map_err(failed)?;
        self.running.set(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let ended = child.wait().await;
        self.running.set(None);
        ended.map_err(failed)
    }

    /// Tells it to end; whether it runs.
    fn end(&self) -> bool {
        match self.running.get() {
            Some(pid) => kill_process(pid, Signal::TERM).is_ok(),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it wrote")]
    fn a_draft_is_wiped_with_everything_beside_it_also_by_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap().to_owned();
        let environment = Environment::of(&[("XDG_RUNTIME_DIR", &place)]);
        let kept = std::sync::Mutex::new(None);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let draft = Draft::make(&environment, "db").unwrap();
            draft.write(&SecretBytes::new(b"a long secret".to_vec())).unwrap();
            draft.write(&SecretBytes::new(b"secret".to_vec())).unwrap();
            assert_eq!(draft.read().unwrap().expose(), b"secret");
            // A name of it outside shows what becomes of the bytes.
            let outside = folder.path().join("outside");
            if fs::hard_link(&draft.path, &outside).is_ok() {
                *kept.lock().unwrap() = Some(outside);
            }
            fs::write(draft.path.with_extension("yaml~"), "secret").unwrap();
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        if let Some(outside) = kept.lock().unwrap().take() {
            assert_eq!(fs::read(&outside).unwrap(), [0; 6]);
            fs::remove_file(outside).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_editor_is_the_users() {
        let line = |variables: &[(&str, &str)]| Editor::of(&Environment::of(variables)).line;
        assert_eq!(line(&[("VISUAL", "code --wait"), ("EDITOR", "ed")]), "code --wait");
        assert_eq!((line(&[("EDITOR", "ed")]).as_str(), line(&[("VISUAL", "")]).as_str()), ("ed", "vi"));
    }
}
