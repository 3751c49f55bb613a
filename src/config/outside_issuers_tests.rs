//! What the file may say, and how a mistake in it is named.

use super::*;

fn read(text: &str) -> Result<Vec<OutsideIssuer>, ConfigError> {
    parse("oidc.yaml", text.as_bytes(), Path::new("/etc/strongroom"))
}

/// One issuer with these lines besides what is required.
fn with(lines: &str) -> String {
    let required = "- issuer: https://login.example.com\n  audiences: [strongroom]\n  jwks: {file: keys.json}\n";
    lines.lines().fold(required.to_owned(), |text, line| text + "  " + line + "\n")
}

fn problem(text: &str) -> String {
    read(text).err().unwrap_or_else(|| panic!("{text}")).to_string()
}

#[test]
fn what_is_left_out_has_a_safe_default() {
    let issuer = read(&with("")).unwrap().remove(0);
    assert_eq!(issuer.issuer, "https://login.example.com");
    assert_eq!(issuer.audiences, ["strongroom"]);
    assert_eq!(issuer.keys, KeySource::File("/etc/strongroom/keys.json".into()));
    assert_eq!(issuer.username, ClaimName { claim: "sub".into(), prefix: "oidc:".into() });
    assert_eq!((issuer.groups, issuer.authority_file), (None, None));
    assert!(issuer.required_claims.is_empty());
    assert!(read("[]").unwrap().is_empty());
}

#[test]
fn everything_can_be_said_in_json_too() {
    let text = r#"[{"issuer": "https://a.example/realms/x", "audiences": ["one", "two"],
        "jwks": {"url": "https://a.example/keys?v=1"}, "caFile": "/pki/ca.crt", "usernameClaim": "email",
        "usernamePrefix": "-", "groupsClaim": "roles", "groupsPrefix": "a:", "requiredClaims": {"tenant": "blue"}}]"#;
    let issuer = read(text).unwrap().remove(0);
    assert_eq!(issuer.keys, KeySource::Url("https://a.example/keys?v=1".into()));
    assert_eq!(issuer.authority_file, Some("/pki/ca.crt".into()));
    assert_eq!(issuer.username, ClaimName { claim: "email".into(), prefix: String::new() });
    assert_eq!(issuer.groups, Some(ClaimName { claim: "roles".into(), prefix: "a:".into() }));
    assert_eq!(issuer.required_claims, BTreeMap::from([("tenant".to_owned(), "blue".to_owned())]));
}

#[test]
fn a_field_that_is_not_known_is_named_with_its_place() {
    let unknown = problem(&with("usernameclaim: email"));
    assert!(unknown.starts_with("oidc.yaml: unknown field [0].usernameclaim: "), "{unknown}");
    let inner = problem("- issuer: https://a.example\n  audiences: [a]\n  jwks: {uri: https://a.example/k}\n");
    assert!(inner.contains("unknown field [0].jwks.uri"), "{inner}");
    assert!(problem(&with("caFile: a\ncaFile: b")).contains(r#"key "caFile" already set in map"#));
}

#[test]
fn what_is_required_or_wrong_is_named_with_its_place() {
    for (text, place) in [
        ("issuer: x", "give a list of issuers"),
        ("- x", "[0]: give an object"),
        ("- audiences: [a]", "[0].issuer: is required"),
        ("- issuer: https://a.example\n  audiences: [a]", "[0].jwks: is required"),
        ("- issuer: https://a.example\n  jwks: {file: k}", "[0].audiences: "),
        ("- issuer: https://a.example\n  jwks: {file: k}\n  audiences: []", "[0].audiences: "),
        ("- issuer: https://a.example\n  jwks: {file: k}\n  audiences: [1]", "[0].audiences: "),
        ("- issuer: https://a.example\n  jwks: {}\n  audiences: [a]", "[0].jwks: give either file or url"),
        ("- issuer: https://a.example\n  jwks: {file: k, url: https://a}\n  audiences: [a]", "[0].jwks: give either"),
        ("- issuer: https://a.example\n  jwks: {url: 'http://a/k'}\n  audiences: [a]", "[0].jwks.url: "),
        ("- {issuer: [", "yaml: "),
    ] {
        let problem = problem(text);
        assert!(problem.starts_with("oidc.yaml: ") && problem.contains(place), "{text}: {problem}");
    }
    assert!(problem(&with("usernameClaim: 7")).contains("[0].usernameClaim: "));
    assert!(problem(&with("usernameClaim: ''")).contains("[0].usernameClaim: "));
    assert!(problem(&with("groupsPrefix: 'a:'")).contains("[0].groupsPrefix: needs groupsClaim"));
    assert!(problem(&with("caFile: ca.crt")).contains("[0].caFile: is of no use with jwks.file"));
    assert!(problem(&with("requiredClaims: {a: 1}")).contains("[0].requiredClaims: "));
    assert!(problem(&(with("") + &with(""))).contains("[1].issuer: is there twice"));
}

#[test]
fn an_issuer_is_an_https_url_and_nothing_else() {
    for url in
        ["http://a.example", "a.example", "https://", "https://u@a.example", "https://a.example?x", "https://a#x"]
    {
        let text = with("").replace("https://login.example.com", &format!("'{url}'"));
        assert!(problem(&text).contains("[0].issuer: "), "{url}");
    }
}

#[test]
fn no_prefix_leads_into_system() {
    for prefix in ["system:", "system:x:", "SYSTEM:", "sys", "s", "System"] {
        for field in ["usernamePrefix", "groupsPrefix"] {
            let text = with(&format!("groupsClaim: groups\n{field}: '{prefix}'"));
            assert!(problem(&text).contains(&format!("[0].{field}: leads to names in system:")), "{prefix}");
        }
    }
    assert!(read(&with("usernamePrefix: 'systems:'")).is_ok());
}

#[test]
fn a_value_in_system_is_no_name_where_nothing_is_put_before_it() {
    let bare = ClaimName { claim: "sub".into(), prefix: String::new() };
    assert_eq!(bare.name("ada").as_deref(), Some("ada"));
    assert_eq!((bare.name("system:admin"), bare.name("System:x"), bare.name("")), (None, None, None));
    let prefixed = ClaimName { claim: "sub".into(), prefix: "oidc:".into() };
    assert_eq!(prefixed.name("system:admin").as_deref(), Some("oidc:system:admin"));
    assert_eq!(prefixed.name(""), None);
}
