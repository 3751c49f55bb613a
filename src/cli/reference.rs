//! `strongroom reference`: the reference of all commands, from the commands themselves. For whoever packages Strongroom.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::CliError;
use super::output::print;

/// Subcommands of `reference`.
#[derive(Args)]
pub struct Reference {
    #[command(subcommand)]
    form: Form,
}

#[derive(Subcommand)]
enum Form {
    /// Print it as one Markdown document
    Markdown,
    /// Write a man page for each command into a directory
    Man {
        /// The directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

impl Reference {
    pub(super) fn run(self, mut command: clap::Command) -> Result<(), CliError> {
        command.build();
        match self.form {
            Form::Markdown => {
                let mut out = "# Commands\n\nMade by `strongroom reference markdown`. Exit codes: 0 done, 1 not done, 2 a wrong command \
                               line, 3 a part is done, 69 the server does not answer, is not to be trusted, or serves nobody now.\n"
                    .to_owned();
                markdown(&command, "strongroom", &mut out);
                print(&out);
                Ok(())
            }
            Form::Man { directory } => man(&command, "strongroom", &directory),
        }
    }
}

/// Those that a person is shown.
fn subcommands(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn markdown(command: &clap::Command, path: &str, out: &mut String) {
    let help = command.clone().bin_name(path).render_long_help().to_string();
    let lines = help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    out.push_str(&["\n## ", path, "\n\n```text\n", lines.trim_end(), "\n```\n"].concat());
    for sub in subcommands(command) {
        markdown(sub, &format!("{path} {}", sub.get_name()), out);
    }
}

fn man(command: &clap::Command, path: &str, directory: &Path) -> Result<(), CliError> {
    let name = path.replace(' ', "-");
    let mut page = Vec::new();
    let file = directory.join(format!("{name}.1"));
    let shown = command.clone().display_name(name).bin_name(path.to_owned());
    clap_mangen::Man::new(shown)
        .render(&mut page)
        .and_then(|()| std::fs::write(&file, &page))
        .map_err(|error| CliError::NotDone(format!("{}: {error}", file.display())))?;
    subcommands(command).try_for_each(|sub| man(sub, &format!("{path} {}", sub.get_name()), directory))
}
