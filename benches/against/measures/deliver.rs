//! What processes are given: how much longer a command takes, how soon a change is in a file, how long many Secrets take.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::failure::{Outcome, within};
use crate::figures::{Latencies, millis};
use crate::fill;
use crate::objects::Objects;
use crate::options::Options;
use crate::process::Process;
use crate::report::{Row, Target, Unit};
use crate::servers::{Servers, home, strongroom};

use super::make_namespace;

const NAMESPACE: &str = "mounted";
/// Starts of each command, in turns.
const STARTS: usize = 200;
/// Changes, each after the last one has arrived.
const CHANGES: u64 = 500;
const MOUNTED: u64 = 1_000;
const ROUNDS: usize = 5;
const FILLING_CONNECTIONS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_micros(500);
const PASSWORD: &str = "a-bench-of-nine-herons";

/// `run` against a plain start of the same command, `mount` against the clock.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let (mut by_token, mut by_session, mut arrivals, mut mounts) = (None, None, None, None);
    let (mut got_by_token, mut got_by_session) = (None, None);
    if let Some(program) = &servers.program {
        let place = home(&options.folder())?;
        let (server, _) = strongroom::start(program, place.clone(), None).await?;
        let endpoint = server.api.endpoint.clone();
        make_namespace(&endpoint, NAMESPACE).await?;
        let secret = r#"{"metadata":{"name":"run"},"stringData":{"USER":"ada","PASS":"pa$$w0rd","k":"0"}}"#;
        expect(endpoint.once("POST", "/api/v1/namespaces/default/secrets", secret).await?, 201)?;
        let person =
            Person { program: program.clone(), home: place.path().join("person"), server: place.path().join("home") };
        fs::create_dir_all(&person.home)?;

        let server_home = person.server.display().to_string();
        let run = |connection: &[&str]| {
            starts(&person, &[&["run"], connection, &["--secret", "default/run", "--", "true"]].concat())
        };
        let get = |connection: &[&str]| starts(&person, &[&["secret", "get", "default/run"], connection].concat());
        by_token = Some(run(&["--home", &server_home])?);
        got_by_token = Some(get(&["--home", &server_home])?);
        let user = r#"{"metadata":{"name":"ada"},"spec":{"groups":["system-readers"]}}"#;
        expect(endpoint.once("POST", "/apis/strongroom.dev/v1alpha1/users", user).await?, 201)?;
        let password = format!(r#"{{"spec":{{"password":"{PASSWORD}"}}}}"#);
        expect(endpoint.once("POST", "/apis/strongroom.dev/v1alpha1/users/ada/password", &password).await?, 201)?;
        let binding = r#"{"metadata":{"name":"ada"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"admin"},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"ada"}]}"#;
        expect(
            endpoint
                .once("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", binding)
                .await?,
            201,
        )?;
        person.log_in(&server_home)?;
        by_session = Some(run(&[])?);
        got_by_session = Some(get(&[])?);

        arrivals = Some(changes(&person, &endpoint).await?);
        let objects = Objects::new(NAMESPACE, 5);
        fill::fill(&server, &objects, MOUNTED, FILLING_CONNECTIONS).await?;
        mounts = Some(many(&person, &objects)?);
    }
    for (what, measured) in [("token of admin.kubeconfig", &by_token), ("session of login", &by_session)] {
        let (plain, ours) = measured.clone().unwrap_or_default();
        if measured.is_some() {
            println!(
                "\n`run -- true`, {what}: {:.2} ms (p99 {:.2}); `true`: {:.2} ms (p99 {:.2})",
                ours.at(500),
                ours.at(990),
                plain.at(500),
                plain.at(990)
            );
        }
        let more = measured.as_ref().map(|_| ours.at(500) - plain.at(500));
        let worst = measured.as_ref().map(|_| ours.at(990) - plain.at(990));
        rows.push(
            Row::own(format!("`run -- true` beyond `true`, {what}"), Unit::Millis, more)
                .with_target(Target::below(30.0)),
        );
        rows.push(Row::own("  its p99 beyond that of `true`", Unit::Millis, worst));
    }
    for (what, measured) in [("token of admin.kubeconfig", &got_by_token), ("session of login", &got_by_session)] {
        let at = |per_mille| measured.as_ref().map(|(_, ours): &(Latencies, Latencies)| ours.at(per_mille));
        rows.push(
            Row::own(format!("`secret get`, {what}, wall"), Unit::Millis, at(500)).with_target(Target::below(40.0)),
        );
        rows.push(Row::own("  its p99", Unit::Millis, at(990)));
        let plain = measured.as_ref().map(|(plain, _)| plain.at(500));
        rows.push(Row::own("  `true` in the same turns", Unit::Millis, plain));
    }
    let at = |per_mille| arrivals.as_ref().map(|all: &Latencies| all.at(per_mille));
    rows.push(Row::own("change to mounted file, median", Unit::Millis, at(500)));
    rows.push(Row::own("change to mounted file, p99", Unit::Millis, at(990)).with_target(Target::below(200.0)));
    rows.push(
        Row::own(format!("mounting {MOUNTED} Secrets"), Unit::Millis, mounts.map(|all| all.at(500)))
            .with_target(Target::below(2_000.0)),
    );
    Ok(())
}

/// Somebody at this machine, with a home of their own.
struct Person {
    program: PathBuf,
    home: PathBuf,
    server: PathBuf,
}

impl Person {
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", &self.home);
        // The credential plugin of the session is this program, by its name.
        let name = self.program.parent().unwrap_or(Path::new("/"));
        command.current_dir(&self.home).env("PATH", joined(name)).stdin(Stdio::null());
        command
    }

    fn log_in(&self, server_home: &str) -> Outcome<()> {
        let password = self.home.join("password");
        fs::write(&password, PASSWORD)?;
        let kubeconfig = fs::read_to_string(Path::new(server_home).join("admin.kubeconfig"))?;
        let server =
            kubeconfig.lines().find_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("server: "));
        let mut command = self.command(&self.program);
        command.args([
            "login",
            "ada",
            "--password-stdin",
            "--server",
            server.ok_or("no server")?.trim().trim_matches('"'),
        ]);
        command.arg("--ca-file").arg(Path::new(server_home).join("tls/ca.crt"));
        let output = command.stdin(fs::File::open(&password)?).output()?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
    }
}

fn joined(first: &Path) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(first.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).unwrap_or(path)
}

fn expect((code, _): (u16, Vec<u8>), expected: u16) -> Outcome<()> {
    if code == expected { Ok(()) } else { Err(format!("answered with {code} instead of {expected}").into()) }
}

fn timed(command: &mut Command) -> Outcome<Duration> {
    let begun = Instant::now();
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    let took = begun.elapsed();
    if output.status.success() {
        Ok(took)
    } else {
        Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// `true` by itself, and this command line of ours, in turns.
fn starts(person: &Person, line: &[&str]) -> Outcome<(Latencies, Latencies)> {
    let (mut plain, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        plain.push(timed(&mut person.command(Path::new("true")))?);
        ours.push(timed(person.command(&person.program).args(line))?);
    }
    Ok((Latencies::of(plain), Latencies::of(ours)))
}

/// From sending a change to reading it in the mounted file.
async fn changes(person: &Person, endpoint: &crate::http::Endpoint) -> Outcome<Latencies> {
    let (folder, log) = (person.home.join("mount"), person.home.join("mount.log"));
    let arguments =
        ["mount", "default/run", &folder.display().to_string(), "--home", &person.server.display().to_string()];
    let mut process = Process::start(&person.program, arguments, log.clone())?;
    within(PATIENCE, "the mount", async {
        while !fs::read_to_string(&log).unwrap_or_default().contains("kept current") {
            process.check_alive()?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Outcome::Ok(())
    })
    .await??;
    let mut connection = endpoint.connect().await?;
    let mut took = Vec::new();
    for number in 1..=CHANGES {
        let value = number.to_string();
        let body = format!(r#"{{"data":{{"k":"{}"}}}}"#, STANDARD.encode(&value));
        let mut request = Vec::new();
        let path = "/api/v1/namespaces/default/secrets/run";
        endpoint.write_typed("PATCH", path, "application/merge-patch+json", &body, &mut request);
        let begun = Instant::now();
        let answer = connection.exchange(&request).await?;
        if answer.code != 200 {
            return Err(format!("a change was answered with {}", answer.code).into());
        }
        within(PATIENCE, "a change", async {
            while fs::read_to_string(folder.join("k")).is_ok_and(|found| found != value) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await?;
        took.push(begun.elapsed());
    }
    process.stop().await?;
    if folder.exists() {
        return Err("the files were not removed".into());
    }
    Ok(Latencies::of(took))
}

/// A thousand Secrets, each with a folder of its own, from the start of the command to its end.
fn many(person: &Person, objects: &Objects) -> Outcome<Latencies> {
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let folder = person.home.join(format!("many-{round}"));
        let mut command = person.command(&person.program);
        command.args(["mount", "--once", "-n", NAMESPACE, "--home"]).arg(&person.server);
        command.args((0..MOUNTED).map(|at| objects.name(at))).arg(&folder);
        took.push(timed(&mut command)?);
        if fs::read_dir(&folder)?.count() != usize::try_from(MOUNTED)? {
            return Err("not all Secrets were mounted".into());
        }
    }
    println!(
        "\nmounting {MOUNTED} Secrets: {:.0} ms at most",
        took.iter().map(|time| millis(*time)).fold(0.0, f64::max)
    );
    Ok(Latencies::of(took))
}
