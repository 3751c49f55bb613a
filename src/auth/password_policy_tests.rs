//! Passwords, good and bad.

use super::*;

fn problem(user: &str, password: &str) -> Option<&'static str> {
    policy_problem(user, &SecretBytes::new(password.as_bytes().to_vec()))
}

#[test]
fn passwords_that_are_hard_to_guess_are_taken() {
    for password in [
        "kettle-orbit-thirteen",
        "Vm9x!tq2Zr#h",
        "ein Haus am Meer im Nebel",
        "q8dJx2mPw7Lz",
        "пароль для сейфа №5",
        "wheelbarrow4lantern",
        "alice likes 9 green pears",
        &"x7Qp".repeat(2).chars().chain("mDv2&k".chars()).collect::<String>(),
        &"long enough? ".repeat(78),
    ] {
        assert_eq!(problem("alice", password), None, "{password}");
    }
}

#[test]
fn passwords_that_everybody_tries_first_are_refused() {
    for password in [
        "password1234",
        "Password1234",
        "P@ssw0rd1234",
        "p a s s w o r d 1 2 3 4",
        "passwordpassword",
        "Kubernetes2026!",
        "!!Strongroom!!1999",
        "changeme-please",
        "Summer2031!!!",
        "correcthorsebatterystaple",
        "correct horse battery staple",
        "iloveyou123456",
        "this is my password",
        "ThisIsMySecret99",
    ] {
        assert!(problem("alice", password).is_some_and(|why| why.contains("everybody")), "{password}");
    }
}

#[test]
fn rows_of_keys_and_repetitions_are_refused() {
    for password in [
        "qwertyuiopasdfghjkl",
        "1qaz2wsx3edc4rfv",
        "qwerty123456",
        "abcdefghijklmnop",
        "9876543210987",
        "aabbccddeeffgg",
    ] {
        assert!(problem("alice", password).is_some_and(|why| why.contains("neighbouring")), "{password}");
    }
    for password in ["aaaaaaaaaaaaaaaa", "abababababababab", "x7Qpx7Qpx7Qpx7Qp", "1919191919191", "ααααααααααα"]
    {
        assert!(problem("alice", password).is_some_and(|why| why.contains("repeat")), "{password}");
    }
}

#[test]
fn passwords_made_of_the_users_name_are_refused() {
    for (user, password) in [
        ("alice.cooper", "alice.cooper"),
        ("alice.cooper", "Alice.Cooper1"),
        ("alice.cooper", "alice.cooperalice.cooper"),
        ("alice", "alice9x7k2qw"),
        ("alice@example.com", "alice@example.com"),
        ("alice@example.com", "alice1984zq!"),
    ] {
        assert!(problem(user, password).is_some_and(|why| why.contains("name")), "{user} {password}");
    }
    assert_eq!(problem("al", "al-kettle-orbit-9"), None);
}

#[test]
fn passwords_have_twelve_to_1024_bytes_of_text() {
    assert!(problem("a", "Vm9x!tq2Zr#").is_some_and(|why| why.contains("12 to 1024")));
    assert!(problem("a", &"Vm9x!tq2Zr#h".repeat(100)).is_some_and(|why| why.contains("12 to 1024")));
    assert!(problem("a", "Vm9x!tq2\nZr#h").is_some_and(|why| why.contains("control")));
    assert_eq!(policy_problem("a", &SecretBytes::new(vec![0xff; 20])), Some("the password must be text"));
}

#[test]
fn every_common_password_of_the_list_is_refused_and_none_is_too_short_to_matter() {
    for password in COMMON.lines() {
        assert!(password.len() >= MIN_BYTES && password == password.to_lowercase(), "{password}");
        assert!(problem("nobody", password).is_some(), "{password}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test compares what was composed")]
fn one_password_is_the_same_from_every_keyboard() {
    let of = |text: &str| normalise(&SecretBytes::new(text.as_bytes().to_vec())).map(|made| made.expose().to_vec());
    assert_eq!(of("Stra\u{df}e u\u{308}ber"), of("Stra\u{df}e \u{fc}ber"));
    assert_ne!(of("\u{ff21}"), of("A"), "no compatibility forms: they are other characters");
    assert_eq!(of(&"x".repeat(1025)), None);
    assert!(normalise(&SecretBytes::new(vec![0xc3])).is_none());
}
