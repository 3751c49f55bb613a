//! The history with the real kubectl.

use super::write;
use crate::support::app::App;
use crate::support::http::Client;
use crate::support::kubectl;

#[test]
fn revisions_are_objects_for_kubectl() {
    for kubectl in kubectl::all() {
        let app = App::start();
        let mut admin = Client::admin(&app);
        write(&mut admin, "a", "one");
        write(&mut admin, "a", "two");
        let table = kubectl.run(&app, &["get", "secretrevisions"]).ok();
        let heading: Vec<&str> =
            table.lines().next().unwrap().split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
        assert_eq!(heading, ["NAME", "SECRET", "REVISION", "CHANGED BY", "KEYS", "AGE"], "{table}");
        let former = table.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        let all = kubectl
            .run(&app, &["get", "secretrevisions", "-A", "--field-selector", "spec.secretName=a", "-o", "name"])
            .ok();
        assert_eq!(all.lines().next().unwrap(), format!("secretrevision.strongroom.dev/{former}"));
        let yaml = kubectl.run(&app, &["get", "secretrevision", &former, "-o", "yaml"]).ok();
        assert!(yaml.contains("kind: SecretRevision") && yaml.contains("k: b25l"), "{yaml}");
        let listed = kubectl.run(&app, &["get", "secretrevisions", "-o", "yaml"]).ok();
        assert!(!listed.contains("b25l") && !listed.contains("dHdv"), "{listed}");
        let described = kubectl.run(&app, &["describe", "secretrevision", &former]).ok();
        assert!(described.contains("Changed By:") && described.contains("admin"), "{described}");
        let explained = kubectl.run(&app, &["explain", "secretrevisions.status.keysChanged"]).ok();
        assert!(explained.contains("Keys whose value became another"), "{explained}");
        let resources = kubectl.run(&app, &["api-resources", "--api-group", "strongroom.dev", "-o", "wide"]).ok();
        let row = resources.lines().find(|line| line.starts_with("secretrevisions")).unwrap();
        assert!(row.contains("delete,deletecollection,get,list"), "{row}");
        let gone = kubectl.run(&app, &["delete", "secretrevision", &former]);
        assert!(gone.stderr.contains("backups that were made before still hold this revision"), "{}", gone.stderr);
        assert!(gone.ok().contains("deleted"));
        let current = kubectl.run(&app, &["get", "secretrevisions", "-o", "name"]).ok();
        let current = current.trim().rsplit('/').next().unwrap();
        let refused = kubectl.run(&app, &["delete", "secretrevision", current]).fails();
        assert!(refused.contains("it is the current revision of the Secret"), "{refused}");
    }
}
