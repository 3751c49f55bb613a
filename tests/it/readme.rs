//! The README's own commands, run as they stand there, so that it cannot rot.
//!
//! Every block marked `sh` is run in one shell, in order, by a person who has kubectl and a server that was started
//! as the README says. A block marked `text` that follows is what the commands print, where `…` stands for anything
//! on a line. Blocks of other marks are for reading.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::apiserver::Cluster;
use crate::support::app::App;
use crate::support::clients;
use crate::support::kubectl::{self, Kubectl};

const LIMIT: Duration = Duration::from_mins(5);
const BLOCK_ENDS: &str = "== block";

/// Commands, and what they print if the README says it.
struct Block {
    line: usize,
    commands: String,
    expected: Option<String>,
}

#[test]
fn every_command_of_the_readme_works() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let blocks = blocks(&readme);
    assert!(blocks.len() > 10, "the README has lost its tutorial");
    for kubectl in kubectl::all() {
        let app = App::start();
        let cluster = Cluster::start();
        // Without a cluster to send it to, no secret is sent to one.
        let section = section(&readme, "## Send a secret to a cluster");
        let blocks: Vec<&Block> =
            blocks.iter().filter(|block| cluster.is_some() || !section.contains(&block.line)).collect();
        let outputs = run(&app, &kubectl, cluster.as_ref(), &blocks);
        let mut wrong = Vec::new();
        for (block, output) in blocks.iter().zip(&outputs) {
            if let Some(failure) = output.lines().find(|line| line.starts_with("FAILED")) {
                wrong.push(format!("line {}: {failure}: {output}", block.line));
            } else if let Some(expected) = block.expected.as_ref().filter(|expected| !matches(expected, output)) {
                wrong.push(format!("line {}: printed\n{output}instead of\n{expected}", block.line));
            }
        }
        assert_eq!(outputs.len(), blocks.len(), "the shell ended early: {}", outputs.last().unwrap());
        assert!(wrong.is_empty(), "with {}: {}", kubectl.program().display(), wrong.join("\n"));
    }
}

/// The lines of a section, from its heading to the next.
fn section(readme: &str, heading: &str) -> std::ops::Range<usize> {
    let first = readme.lines().position(|line| line == heading).unwrap();
    let length = readme.lines().skip(first + 1).position(|line| line.starts_with("## ")).unwrap();
    first..first + length + 1
}

/// What each block printed on standard output and standard error.
fn run(app: &App, kubectl: &Kubectl, cluster: Option<&Cluster>, blocks: &[&Block]) -> Vec<String> {
    let person = tempfile::tempdir().unwrap();
    let file = |name: &str| person.path().join(name);
    for folder in ["bin", "work", ".local/share", ".config/strongroom"] {
        std::fs::create_dir_all(file(folder)).unwrap();
    }
    std::os::unix::fs::symlink(clients::on_path(kubectl.program()), file("bin/kubectl")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_strongroom"), file("bin/strongroom")).unwrap();
    std::os::unix::fs::symlink(app.home(), file(".local/share/strongroom")).unwrap();
    // Where the key of a home lies that no option names.
    std::fs::copy(app.home().join("keys/unlock.key"), file(".config/strongroom/unlock.key")).unwrap();
    std::fs::write(file("password"), "seven herons over a slow river\n").unwrap();
    if let Some(cluster) = cluster {
        cluster.namespace("shop", &serde_json::json!({}));
        std::fs::write(file("cluster.kubeconfig"), cluster.admin_kubeconfig()).unwrap();
    }
    write_program(&file("bin/editor"), "#!/bin/sh\nexec sed -i 's/^type:/immutable: false\\ntype:/' \"$1\"\n");
    // What goes on ends by itself instead of by Ctrl-C, a difference is no failure, and passwords that a person types come
    // from a file.
    let mut script = String::from(
        "exec 2>&1\nset -E -o pipefail\ntrap 'echo \"FAILED ($?): $BASH_COMMAND\"' ERR\n\
         kubectl() {\n  case \" $* \" in\n    *' -w '*|*' --watch '*) timeout 3 kubectl \"$@\" || [ $? = 124 ] ;;\n    \
         ' diff '*) command kubectl \"$@\" || [ $? = 1 ] ;;\n    *) command kubectl \"$@\" ;;\n  esac\n}\n\
         strongroom() {\n  case \"$* \" in\n    *--password-stdin*) command strongroom \"$@\" ;;\n    'user create '*|'login '*) command strongroom \"$@\" --password-stdin < ~/password ;;\n    \
         *' -f '*) timeout 3 strongroom \"$@\" || [ $? = 124 ] ;;\n    *) command strongroom \"$@\" ;;\n  esac\n}\n",
    );
    for block in blocks {
        let commands = block.commands.replace("https://127.0.0.1:8443", &app.url);
        script.extend([commands.as_str(), "echo '", BLOCK_ENDS, "'\n"]);
    }
    let path = format!("{}:{}", file("bin").display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["--noprofile", "--norc", "-s"]).current_dir(file("work")).env_clear().env("PATH", path);
    bash.env("HOME", person.path()).env("KUBE_EDITOR", file("bin/editor"));
    let output = clients::run(&mut bash, script.as_bytes(), LIMIT);
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut outputs: Vec<String> = printed.split(&format!("{BLOCK_ENDS}\n")).map(str::to_owned).collect();
    if outputs.last().is_some_and(String::is_empty) {
        outputs.pop();
    }
    outputs
}

fn write_program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn blocks(readme: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = readme.lines().zip(1..);
    // Whether nothing but empty lines came since the last block of commands.
    let mut follows = false;
    while let Some((text, line)) = lines.next() {
        let Some(mark) = text.strip_prefix("```") else {
            follows &= text.is_empty();
            continue;
        };
        let body: String = lines
            .by_ref()
            .map(|(text, _)| text)
            .take_while(|text| *text != "```")
            .fold(String::new(), |all, text| all + text + "\n");
        match mark {
            "sh" => blocks.push(Block { line, commands: body, expected: None }),
            "text" if follows => blocks.last_mut().unwrap().expected = Some(body),
            _ => {}
        }
        follows = mark == "sh";
    }
    blocks
}

/// Whether the lines are the same, where `…` in an expected line stands for anything.
fn matches(expected: &str, output: &str) -> bool {
    let like = |expected: &str, line: &str| {
        let mut rest = line;
        let mut pieces = expected.split('…');
        let first = pieces.next().unwrap_or_default();
        let Some(after) = rest.strip_prefix(first) else { return false };
        rest = after;
        let mut pieces = pieces.peekable();
        while let Some(piece) = pieces.next() {
            let at = if pieces.peek().is_none() {
                rest.ends_with(piece).then(|| rest.len() - piece.len())
            } else {
                rest.find(piece)
            };
            let Some(at) = at else { return false };
            rest = &rest[at + piece.len()..];
        }
        rest.is_empty()
    };
    let (expected, output): (Vec<_>, Vec<_>) = (expected.lines().collect(), output.lines().collect());
    expected.len() == output.len() && expected.iter().zip(&output).all(|(expected, line)| like(expected, line))
}

#[test]
fn the_reader_of_the_readme_sees_commands_and_what_they_print() {
    let found =
        blocks("# T\n```sh\na\nb\n```\n\n```text\nx …\n```\n```sh\nc\n```\ntext\n```text\ny\n```\n```yaml\nz\n```\n");
    let seen: Vec<_> =
        found.iter().map(|block| (block.line, block.commands.as_str(), block.expected.as_deref())).collect();
    assert_eq!(seen, [(2, "a\nb\n", Some("x …\n")), (10, "c\n", None)]);
    assert!(matches("a … c …\n", "a 1 c 2\n") && matches("…\n", "\n"));
    assert!(!matches("a … c\n", "a 1 d\n") && !matches("a\n", "a\nb\n") && !matches("a\n", "ab\n"));
}
