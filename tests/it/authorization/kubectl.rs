//! What an operator does about access with the real kubectl, and what comes of it for the people concerned.

use super::people::{Person, each};

/// The 403 that kubectl prints.
fn forbidden(person: &Person<'_>, line: &str) -> String {
    let text = person.does(line).fails();
    assert!(text.starts_with("Error from server (Forbidden): "), "{line}: {text}");
    text
}

/// `auth can-i` with what it prints and its exit code.
fn can_i(person: &Person<'_>, line: &str) -> bool {
    let answer = person.does(&format!("auth can-i {line}"));
    match (answer.stdout.as_str(), answer.code) {
        ("yes\n", 0) => true,
        ("no\n", 1) => false,
        (printed, code) => panic!("{line}: {printed} {} {code}", answer.stderr),
    }
}

#[test]
fn two_people_get_what_they_were_granted_in_two_namespaces() {
    each(|place| {
        let (alice, bob) = (place.user("alice", &["team"]), place.user("bob", &[]));
        let admin = place.admin();
        for line in [
            "create namespace dev",
            "create namespace ops",
            "create secret generic db -n ops --from-literal=k=1",
            "create secret generic other -n ops --from-literal=k=1",
            "create secret generic code -n dev --from-literal=k=1",
            "create role write -n dev --verb=get,list,watch,create,update,patch,delete --resource=secrets",
            "create rolebinding write -n dev --role=write --user=alice",
            "create role one -n ops --verb=get,list --resource=secrets --resource-name=db",
            "create rolebinding one -n ops --role=one --user=bob",
            "create clusterrole read --verb=get,list --resource=secrets",
        ] {
            admin.does(line).ok();
        }
        assert_eq!(alice.does("create secret generic mine -n dev --from-literal=k=v").ok(), "secret/mine created\n");
        assert_eq!(alice.does("get secrets -n dev -o name").ok(), "secret/code\nsecret/mine\n");
        assert_eq!(alice.does("delete secret mine -n dev").ok().lines().count(), 1);
        assert_eq!(
            forbidden(&alice, "get secrets -n ops"),
            "Error from server (Forbidden): secrets is forbidden: User \"alice\" cannot list resource \"secrets\" in API group \"\" in the namespace \"ops\"\n"
        );
        assert_eq!(
            forbidden(&alice, "get secret nothing -n ops"),
            "Error from server (Forbidden): secrets \"nothing\" is forbidden: User \"alice\" cannot get resource \"secrets\" in API group \"\" in the namespace \"ops\"\n"
        );
        assert!(forbidden(&alice, "get secrets -A").contains("at the cluster scope"));

        // One name.
        assert_eq!(bob.does("get secret db -n ops -o jsonpath={.data.k}").ok(), "MQ==");
        assert_eq!(bob.does("get secrets -n ops --field-selector metadata.name=db -o name").ok(), "secret/db\n");
        forbidden(&bob, "get secrets -n ops");
        forbidden(&bob, "get secret other -n ops");
        forbidden(&bob, "delete secret db -n ops");

        // A role of the cluster counts where it is bound.
        admin.does("create rolebinding read -n dev --clusterrole=read --user=bob").ok();
        assert_eq!(bob.does("get secrets -n dev -o name").ok(), "secret/code\n");
        forbidden(&bob, "get secret other -n ops");
        admin.does("create clusterrolebinding read --clusterrole=read --group=team").ok();
        assert_eq!(alice.does("get secrets -A --no-headers").ok().lines().count(), 3);
        admin.does("delete clusterrolebinding read").ok();
        forbidden(&alice, "get secrets -A");
        admin.does("delete rolebinding read -n dev").ok();
        forbidden(&bob, "get secrets -n dev");
    });
}

#[test]
fn a_role_that_aggregates_has_the_rules_of_its_parts() {
    each(|place| {
        let alice = place.user("alice", &[]);
        let admin = place.admin();
        for line in [
            "create clusterrole whole --aggregation-rule=example.com/part=true",
            "create clusterrole part --verb=get --resource=secrets",
            "create clusterrolebinding alice --clusterrole=whole --user=alice",
            "create secret generic s --from-literal=k=1",
        ] {
            admin.does(line).ok();
        }
        forbidden(&alice, "get secret s");
        admin.does("label clusterrole part example.com/part=true").ok();
        let rules = "get clusterrole whole -o jsonpath={.rules[*].resources[*]}";
        assert_eq!(admin.does(rules).ok(), "secrets");
        alice.does("get secret s").ok();
        admin.does("patch clusterrole part --type json -p [{\"op\":\"replace\",\"path\":\"/rules/0/resources\",\"value\":[\"serviceaccounts\"]}]").ok();
        assert_eq!(admin.does(rules).ok(), "serviceaccounts");
        forbidden(&alice, "get secret s");
        alice.does("get serviceaccount default").ok();
        admin.does("label clusterrole part example.com/part-").ok();
        assert_eq!(admin.does(rules).ok(), "");
        forbidden(&alice, "get serviceaccount default");

        // The server's own roles take parts, too, through each other.
        admin.does("create rolebinding alice --clusterrole=edit --user=alice").ok();
        forbidden(&alice, "get role x");
        admin.does("create clusterrole roles --verb=get --resource=roles").ok();
        admin.does("label clusterrole roles rbac.authorization.k8s.io/aggregate-to-view=true").ok();
        let missing = alice.does("get role x").fails();
        assert!(missing.contains("(NotFound)"), "{missing}");
    });
}

#[test]
fn can_i_and_whoami_answer_as_the_server_decides() {
    each(|place| {
        let alice = place.user("alice", &["team"]);
        let admin = place.admin();
        for line in [
            "create namespace dev",
            "create role r -n dev --verb=get --resource=secrets --resource-name=db",
            "create rolebinding r -n dev --role=r --group=team",
            "create role t -n dev --verb=create --resource=serviceaccounts/token",
            "create rolebinding t -n dev --role=t --user=alice",
        ] {
            admin.does(line).ok();
        }
        for (line, yes) in [
            ("get secrets/db -n dev", true),
            ("get secrets/other -n dev", false),
            ("get secrets -n dev", false),
            ("list secrets -n dev", false),
            ("get secrets/db", false),
            ("create serviceaccounts --subresource=token -n dev", true),
            ("create serviceaccounts -n dev", false),
            ("get /version", true),
            ("get /metrics", false),
            ("post /strongroom/v1/login", true),
        ] {
            assert_eq!(can_i(&alice, line), yes, "{line}");
            assert!(can_i(&admin, line), "{line}");
            assert_eq!(can_i(&admin, &format!("{line} --as alice --as-group team")), yes, "{line}");
        }
        let quiet = alice.does("auth can-i list secrets -q");
        assert_eq!((quiet.code, quiet.stdout.as_str()), (1, ""));

        let list = alice.does("auth can-i --list -n dev").ok();
        let has = |words: &[&str]| list.lines().any(|line| line.split_whitespace().eq(words.iter().copied()));
        assert!(has(&["secrets", "[]", "[db]", "[get]"]), "{list}");
        assert!(has(&["serviceaccounts/token", "[]", "[]", "[create]"]), "{list}");
        assert!(has(&["selfsubjectreviews.authentication.k8s.io", "[]", "[]", "[create]"]), "{list}");
        assert!(has(&["[/version]", "[]", "[get]"]) && !has(&["*.*", "[]", "[]", "[*]"]), "{list}");
        let list = admin.does("auth can-i --list").ok();
        assert!(list.lines().any(|line| line.split_whitespace().eq(["*.*", "[]", "[]", "[*]"])), "{list}");

        let who = alice.does("auth whoami -o jsonpath={.status.userInfo.username}:{.status.userInfo.groups}").ok();
        assert_eq!(who, "alice:[\"team\",\"system:authenticated\"]");
        assert!(admin.does("auth whoami").ok().contains("[system:masters system:authenticated]"));
    });
}

#[test]
fn reconcile_adds_what_is_missing_and_needs_the_rights_it_gives() {
    const WANTED: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: r, namespace: dev}
rules:
- {apiGroups: [\"\"], resources: [secrets], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: r, namespace: dev}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}
";
    each(|place| {
        let (alice, mallory) = (place.user("alice", &[]), place.user("mallory", &[]));
        let admin = place.admin();
        admin.does("create namespace dev").ok();
        let reconcile = ["auth", "reconcile", "-f", "-"];
        assert_eq!(admin.feed(&reconcile, WANTED).ok().matches(" reconciled").count(), 2);
        alice.does("get secrets -n dev").ok();
        // What is there besides stays, and what was taken away comes back.
        admin.does("create role more -n dev --verb=get --resource=serviceaccounts").ok();
        let edit = "[{\"op\":\"replace\",\"path\":\"/rules\",\"value\":[{\"apiGroups\":[\"\"],\"resources\":[\"serviceaccounts\"],\"verbs\":[\"get\"]}]}]";
        admin.run(&["patch", "role", "r", "-n", "dev", "--type", "json", "-p", edit]).ok();
        forbidden(&alice, "get secrets -n dev");
        admin.feed(&reconcile, WANTED).ok();
        alice.does("get secrets -n dev").ok();
        alice.does("get serviceaccount default -n dev").ok();
        let removed = admin.feed(&["auth", "reconcile", "--remove-extra-permissions", "-f", "-"], WANTED).ok();
        assert!(removed.contains("reconciled"), "{removed}");
        forbidden(&alice, "get serviceaccount default -n dev");
        // Who may write roles gives no more away than they have.
        admin.does("create role rbac -n dev --verb=get,create,update,patch --resource=roles,rolebindings").ok();
        admin.does("create rolebinding rbac -n dev --role=rbac --user=mallory").ok();
        let refused = mallory.feed(&reconcile, &WANTED.replace("name: r,", "name: other,")).fails();
        // kubectl from 1.36 on crashes on the refusal instead of printing it.
        let crashed = refused.contains("nil pointer dereference") && refused.contains("reconcile.go");
        let told = refused.contains("is attempting to grant RBAC permissions not currently held");
        assert!(told || crashed, "{refused}");
        let missing = admin.does("get role other -n dev").fails();
        assert!(missing.contains("(NotFound)"), "{missing}");
    });
}

const AS_BOB: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: as-bob}
rules:
- {apiGroups: [\"\"], resources: [users], resourceNames: [bob], verbs: [impersonate]}
";

#[test]
fn who_may_impersonate_acts_as_others_and_others_do_not() {
    each(|place| {
        let (alice, bob) = (place.user("alice", &[]), place.user("bob", &[]));
        let admin = place.admin();
        for line in [
            "create namespace dev",
            "create serviceaccount app -n dev",
            "create rolebinding bob -n dev --clusterrole=edit --user=bob",
            "create rolebinding app -n dev --clusterrole=view --serviceaccount=dev:app",
            "create clusterrolebinding team --clusterrole=view --group=team",
        ] {
            admin.does(line).ok();
        }
        admin.does("get secrets -n dev --as bob").ok();
        assert!(forbidden(&admin, "get secrets -n dev --as alice").contains("User \"alice\" cannot list"));
        admin.does("get namespaces --as alice --as-group team").ok();
        admin.does("get serviceaccounts -n dev --as system:serviceaccount:dev:app").ok();
        forbidden(&admin, "get serviceaccounts --as system:serviceaccount:dev:app");
        forbidden(&admin, "get namespaces --as system:masters");
        admin.does("get secrets --as anybody --as-group system:masters").ok();

        assert_eq!(
            forbidden(&alice, "get secrets -n dev --as bob"),
            "Error from server (Forbidden): users \"bob\" is forbidden: User \"alice\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope\n"
        );
        // kubectl takes `--resource=users` for the kind User of this server, not for what impersonation asks.
        admin.feed(&["create", "-f", "-"], AS_BOB).ok();
        admin.does("create clusterrolebinding as-bob --clusterrole=as-bob --user=alice").ok();
        alice.does("get secrets -n dev --as bob").ok();
        assert!(forbidden(&alice, "get secrets --as bob --as-group team").contains("groups \"team\" is forbidden"));
        assert!(forbidden(&alice, "get secrets --as admin").contains("users \"admin\" is forbidden"));
        assert!(
            forbidden(&alice, "get secrets --as system:serviceaccount:dev:app").contains("serviceaccounts \"app\"")
        );
        // The server's own role `edit` may act as the accounts of its namespace.
        bob.does("get serviceaccounts -n dev --as system:serviceaccount:dev:app").ok();
        forbidden(&bob, "get serviceaccounts --as system:serviceaccount:default:default");
    });
}

#[test]
fn a_token_is_good_for_what_it_was_asked_for_and_no_longer() {
    each(|place| {
        let admin = place.admin();
        for line in [
            "create namespace dev",
            "create serviceaccount app -n dev",
            "create secret generic db -n dev --from-literal=k=1",
            "create role read -n dev --verb=get --resource=secrets",
            "create rolebinding app -n dev --role=read --serviceaccount=dev:app",
        ] {
            admin.does(line).ok();
        }
        let token = |more: &str| admin.does(&format!("create token app -n dev {more}")).ok().trim_end().to_owned();
        let unauthorized = |person: &Person<'_>| {
            let text = person.does("get secret db -n dev").fails();
            assert!(text.contains("You must be logged in to the server"), "{text}");
        };
        let app = place.with_token("app", &token(""));
        assert_eq!(app.does("get secret db -n dev -o jsonpath={.data.k}").ok(), "MQ==");
        forbidden(&app, "get secrets -n dev");
        let who = app.does("auth whoami -o jsonpath={.status.userInfo.username}:{.status.userInfo.groups}").ok();
        let groups = "[\"system:serviceaccounts\",\"system:serviceaccounts:dev\",\"system:authenticated\"]";
        assert_eq!(who, format!("system:serviceaccount:dev:app:{groups}"));

        let refused = admin.does("create token app -n dev --duration 5m").fails();
        assert!(refused.contains("may not specify a duration less than 10 minutes"), "{refused}");
        place.with_token("ten-minutes", &token("--duration 10m")).does("get secret db -n dev").ok();
        unauthorized(&place.with_token("elsewhere", &token("--audience vault")));
        let missing = admin.does("create token missing -n dev").fails();
        assert!(missing.contains("serviceaccounts \"missing\" not found"), "{missing}");

        // Bound to an object, it ends with it, also where there is another of that name.
        admin.does("create secret generic session -n dev").ok();
        let bound = place.with_token("bound", &token("--bound-object-kind Secret --bound-object-name session"));
        bound.does("get secret db -n dev").ok();
        admin.does("delete secret session -n dev").ok();
        unauthorized(&bound);
        admin.does("create secret generic session -n dev").ok();
        unauthorized(&bound);
        let nothing = admin.does("create token app -n dev --bound-object-kind Secret --bound-object-name none").fails();
        assert!(nothing.contains("secrets \"none\" not found"), "{nothing}");

        admin.does("delete serviceaccount app -n dev").ok();
        unauthorized(&app);
        admin.does("create serviceaccount app -n dev").ok();
        unauthorized(&app);
        place.with_token("new", &token("")).does("get secret db -n dev").ok();
    });
}

#[test]
fn what_a_binding_refers_to_cannot_be_changed() {
    each(|place| {
        let admin = place.admin();
        admin.does("create rolebinding b --clusterrole=view --user=alice").ok();
        admin.does("create clusterrolebinding b --clusterrole=view --user=alice").ok();
        for kind in ["rolebinding", "clusterrolebinding"] {
            let text = admin.does(&format!("get {kind} b -o yaml")).ok();
            let other = text.replace("name: view", "name: edit");
            assert_ne!(text, other);
            for verb in ["replace", "apply"] {
                let refused = admin.feed(&[verb, "-f", "-"], &other).fails();
                assert!(refused.contains("cannot change roleRef"), "{kind} {verb}: {refused}");
            }
            let patch = ["patch", kind, "b", "-p", "{\"roleRef\":{\"name\":\"edit\"}}"];
            assert!(admin.run(&patch).fails().contains("cannot change roleRef"));
            admin.feed(&["replace", "-f", "-"], &text.replace("name: alice", "name: bob")).ok();
        }
    });
}
