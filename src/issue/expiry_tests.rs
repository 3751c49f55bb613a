//! What is told of Secrets that end, and when.

use super::*;

const NOW: i64 = 1_790_000_000;

fn held(ends_at: i64, is_marked: bool) -> Held {
    Held { ends_at, uid: [1; 16], revision: 7, is_marked, told: Told::Nothing }
}

fn with(entries: &[(&str, &str, Held)]) -> Expiry {
    let expiry = Expiry::default();
    for (namespace, name, held) in entries {
        expiry.held().insert(((*namespace).into(), (*name).into()), *held);
    }
    expiry
}

fn told(expiry: &Expiry, now: i64) -> Vec<(String, String)> {
    let mut told: Vec<_> = expiry
        .due(now, |_, name| name == "renewed")
        .into_iter()
        .map(|telling| (telling.name.to_string(), telling.occurrence.reason.clone()))
        .collect();
    told.sort_unstable();
    told
}

#[test]
fn each_thing_is_told_once() {
    let expiry = with(&[
        ("prod", "far", held(NOW + 90 * DAY, false)),
        ("prod", "near", held(NOW + 8 * DAY, false)),
        ("prod", "renewed", held(NOW + 2 * DAY, true)),
        ("prod", "orphan", held(NOW + 2 * DAY, true)),
    ]);
    let of = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, reason)| ((*name).to_owned(), (*reason).to_owned())).collect()
    };
    assert_eq!(told(&expiry, NOW), of(&[("orphan", "Expiring")]), "nobody renews it any more");
    assert_eq!(told(&expiry, NOW + DAY), of(&[("near", "Expiring")]));
    assert_eq!(told(&expiry, NOW + DAY), [], "once");
    assert_eq!(
        told(&expiry, NOW + 2 * DAY),
        of(&[("orphan", "Expired"), ("renewed", "Expired")]),
        "its renewal has failed"
    );
    assert_eq!(told(&expiry, NOW + 9 * DAY), of(&[("near", "Expired")]));
    assert_eq!(told(&expiry, NOW), [], "a clock that goes back tells nothing anew");
}

#[test]
fn numbers_are_by_namespace_up_to_a_hundred() {
    let mut entries = Vec::new();
    let names: Vec<String> = (0..103).map(|number| format!("n{number:03}")).collect();
    for name in &names {
        entries.push((name.as_str(), "a", held(NOW + 20 * DAY, false)));
    }
    entries.push(("n000", "b", held(NOW + DAY, true)));
    entries.push(("n000", "c", held(NOW - 1, false)));
    let mut text = String::new();
    with(&entries).write(&mut text, NOW);
    for line in [
        "# TYPE strongroom_secrets_expiring gauge\n",
        "strongroom_secrets_expiring{namespace=\"n000\",days=\"0\"} 1\n",
        "strongroom_secrets_expiring{namespace=\"n000\",days=\"7\"} 2\n",
        "strongroom_secrets_expiring{namespace=\"n000\",days=\"30\"} 3\n",
        "strongroom_secrets_expiring{namespace=\"n099\",days=\"30\"} 1\n",
        "strongroom_secrets_expiring{namespace=\"\",days=\"30\"} 3\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    assert!(!text.contains("n100"));
}
