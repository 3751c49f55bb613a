"""What a program does with Kubernetes' official Python client, against the server of the kubeconfig it is given.

    python python_client.py KUBECONFIG

Every function whose name begins with `test_` is run in a namespace of its own. Ends with 1 if one of them fails.
"""

import base64
import json
import sys
import threading
import traceback

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException


def encode(text):
    return base64.b64encode(text.encode()).decode()


def secret(name, labels=None, **values):
    return client.V1Secret(
        metadata=client.V1ObjectMeta(name=name, labels=labels),
        data={key: encode(value) for key, value in values.items()} or None,
    )


def refused(code, reason, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ApiException as error:
        assert (error.status, json.loads(error.body)["reason"]) == (code, reason), f"{error.status} {error.body}"
        return error
    raise AssertionError(f"{call.__name__} should be refused with {code}")


def test_create_read_replace_delete(core, namespace):
    made = core.create_namespaced_secret(namespace, secret("s", user="admin", password="pa$$w0rd"))
    assert made.type == "Opaque" and made.metadata.uid and made.metadata.creation_timestamp, made
    read = core.read_namespaced_secret("s", namespace)
    assert read.data == {"user": "YWRtaW4=", "password": "cGEkJHcwcmQ="}, read.data
    assert read.metadata.resource_version == made.metadata.resource_version
    assert read.kind == "Secret" and read.api_version == "v1"

    read.data["user"] = encode("root")
    replaced = core.replace_namespaced_secret("s", namespace, read)
    assert replaced.metadata.uid == made.metadata.uid
    assert int(replaced.metadata.resource_version) > int(made.metadata.resource_version)
    refused(409, "Conflict", core.replace_namespaced_secret, "s", namespace, read)

    status = core.delete_namespaced_secret("s", namespace)
    assert (status["status"], status["details"]["uid"]) == ("Success", made.metadata.uid), status
    refused(404, "NotFound", core.read_namespaced_secret, "s", namespace)


def test_string_data_and_names_made_by_the_server(core, namespace):
    body = client.V1Secret(metadata=client.V1ObjectMeta(generate_name="made-"), string_data={"k": "v"})
    first = core.create_namespaced_secret(namespace, body)
    second = core.create_namespaced_secret(namespace, body)
    assert first.metadata.name.startswith("made-") and first.metadata.name != second.metadata.name
    assert first.data == {"k": encode("v")} and first.string_data is None


def test_dry_run_changes_nothing(core, namespace):
    core.create_namespaced_secret(namespace, secret("dry", k="v"), dry_run="All")
    refused(404, "NotFound", core.read_namespaced_secret, "dry", namespace)


def test_list_in_pages_is_a_snapshot(core, namespace):
    for number in range(7):
        core.create_namespaced_secret(namespace, secret(f"p{number}", {"parity": "even" if number % 2 == 0 else "odd"}))
    names, token, revisions, pages = [], None, set(), 0
    while True:
        page = core.list_namespaced_secret(namespace, limit=3, _continue=token)
        names += [item.metadata.name for item in page.items]
        revisions.add(page.metadata.resource_version)
        pages += 1
        if pages == 1:
            assert page.metadata.remaining_item_count == 4, page.metadata
            core.create_namespaced_secret(namespace, secret("p10"))
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"p{number}" for number in range(7)] and pages == 3, names
    assert len(revisions) == 1, revisions
    even = core.list_namespaced_secret(namespace, label_selector="parity in (even),parity!=odd")
    assert [item.metadata.name for item in even.items] == ["p0", "p2", "p4", "p6"]
    one = core.list_namespaced_secret(namespace, field_selector="metadata.name=p3,type=Opaque")
    assert [item.metadata.name for item in one.items] == ["p3"]
    everywhere = core.list_secret_for_all_namespaces()
    assert {item.metadata.name for item in everywhere.items if item.metadata.namespace == namespace} == {*names, "p10"}
    refused(400, "BadRequest", core.list_namespaced_secret, namespace, label_selector="a b")
    refused(400, "BadRequest", core.list_namespaced_secret, namespace, _continue="nonsense")


def test_watch_sees_every_change_in_order(core, namespace):
    core.create_namespaced_secret(namespace, secret("before", {"w": "1"}))
    start = core.list_namespaced_secret(namespace).metadata.resource_version

    def change():
        core.create_namespaced_secret(namespace, secret("w", {"w": "1"}, k="1"))
        core.patch_namespaced_secret("w", namespace, {"data": {"k": encode("2")}})
        core.patch_namespaced_secret("w", namespace, {"data": {"k": encode("2")}})
        core.create_namespaced_secret(namespace, secret("unseen", k="1"))
        core.patch_namespaced_secret("w", namespace, {"metadata": {"labels": {"w": None}}})
        core.patch_namespaced_secret("w", namespace, {"metadata": {"labels": {"w": "1"}}})
        core.delete_namespaced_secret("w", namespace)

    writer = threading.Thread(target=change)
    writer.start()
    seen, stream = [], watch.Watch()
    for event in stream.stream(
        core.list_namespaced_secret, namespace, resource_version=start, label_selector="w=1", timeout_seconds=60
    ):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 5:
            stream.stop()
    writer.join()
    # A patch that changes nothing is no event; a label that goes away is a deletion for who selects by it.
    assert seen == [("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w"), ("ADDED", "w"), ("DELETED", "w")], seen


def test_watch_without_a_revision_begins_with_what_there_is(core, namespace):
    core.create_namespaced_secret(namespace, secret("there"))
    events = watch.Watch().stream(core.list_namespaced_secret, namespace, timeout_seconds=1)
    assert [(event["type"], event["object"].metadata.name) for event in events] == [("ADDED", "there")]


def test_every_kind_of_patch(core, namespace):
    core.create_namespaced_secret(namespace, secret("p", {"keep": "1", "drop": "1"}, a="1", b="2"))
    patched = core.patch_namespaced_secret("p", namespace, {"data": {"a": None, "c": encode("3")}})
    assert set(patched.data) == {"b", "c"}, patched.data
    patched = core.patch_namespaced_secret("p", namespace, [{"op": "replace", "path": "/data/b", "value": encode("x")}])
    assert patched.data["b"] == encode("x")
    merge = "application/merge-patch+json"
    patched = core.patch_namespaced_secret(
        "p", namespace, {"metadata": {"labels": {"drop": None}}, "stringData": {"s": "text"}}, _content_type=merge
    )
    assert patched.metadata.labels == {"keep": "1"} and patched.data["s"] == encode("text")
    patched = core.patch_namespaced_secret("p", namespace, {"data": {"$patch": "replace", "only": encode("1")}})
    assert set(patched.data) == {"only"}, patched.data
    failing = [{"op": "test", "path": "/data/only", "value": "eA=="}]
    refused(422, "Invalid", core.patch_namespaced_secret, "p", namespace, failing)
    refused(422, "Invalid", core.patch_namespaced_secret, "p", namespace, {"data": {"a b": ""}})
    refused(404, "NotFound", core.patch_namespaced_secret, "none", namespace, {"data": {}})


def test_server_side_apply(core, namespace):
    def apply(manager, values, force=None):
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
        body["data"] = {key: encode(value) for key, value in values.items()}
        return core.patch_namespaced_secret(
            "a", namespace, body, field_manager=manager, force=force, _content_type="application/apply-patch+yaml"
        )

    made = apply("one", {"k": "1", "own": "1"})
    assert [(entry.manager, entry.operation) for entry in made.metadata.managed_fields] == [("one", "Apply")]
    error = refused(409, "Conflict", apply, "two", {"k": "2"})
    assert 'conflict with \\"one\\": .data.k' in error.body, error.body
    forced = apply("two", {"k": "2"}, force=True)
    assert forced.data == {"k": encode("2"), "own": encode("1")}
    given_up = apply("one", {})
    assert given_up.data == {"k": encode("2")}, given_up.data


def test_deletecollection_takes_what_is_selected(core, namespace):
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        core.create_namespaced_secret(namespace, secret(name, {"l": label}))
    core.delete_collection_namespaced_secret(namespace, label_selector="l=x")
    assert [item.metadata.name for item in core.list_namespaced_secret(namespace).items] == ["c"]


def test_preconditions_guard_a_delete(core, namespace):
    made = core.create_namespaced_secret(namespace, secret("g"))
    wrong = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="wrong"))
    refused(409, "Conflict", core.delete_namespaced_secret, "g", namespace, body=wrong)
    right = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=made.metadata.uid))
    core.delete_namespaced_secret("g", namespace, body=right)


def test_finalizers_hold_an_object_back(core, namespace):
    held = secret("held")
    held.metadata.finalizers = ["example.com/hold"]
    core.create_namespaced_secret(namespace, held)
    core.delete_namespaced_secret("held", namespace)
    waiting = core.read_namespaced_secret("held", namespace)
    assert waiting.metadata.deletion_timestamp is not None
    core.patch_namespaced_secret(
        "held", namespace, {"metadata": {"finalizers": None}}, _content_type="application/merge-patch+json"
    )
    refused(404, "NotFound", core.read_namespaced_secret, "held", namespace)


def test_immutable_and_typed_secrets(core, namespace):
    frozen = secret("frozen", k="v")
    frozen.immutable = True
    core.create_namespaced_secret(namespace, frozen)
    refused(422, "Invalid", core.patch_namespaced_secret, "frozen", namespace, {"data": {"k": encode("w")}})
    typed = secret("typed")
    typed.type = "kubernetes.io/tls"
    refused(422, "Invalid", core.create_namespaced_secret, namespace, typed)


def test_namespaces_come_and_go_with_what_is_in_them(core, namespace):
    name = f"{namespace}-inner"
    made = core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    assert made.status.phase == "Active" and made.metadata.labels == {"kubernetes.io/metadata.name": name}
    assert core.read_namespaced_service_account("default", name).metadata.name == "default"
    core.create_namespaced_secret(name, secret("s"))
    core.delete_namespace(name)
    for event in watch.Watch().stream(core.list_namespace, field_selector=f"metadata.name={name}", timeout_seconds=30):
        if event["type"] == "DELETED":
            break
    else:
        refused(404, "NotFound", core.read_namespace, name)
    refused(404, "NotFound", core.create_namespaced_secret, name, secret("s"))
    assert core.list_namespaced_secret(name).items == []
    refused(403, "Forbidden", core.delete_namespace, "default")


def test_service_accounts(core, namespace):
    account = client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="robot"))
    core.create_namespaced_service_account(namespace, account)
    names = [item.metadata.name for item in core.list_namespaced_service_account(namespace).items]
    assert names == ["default", "robot"], names
    deleted = core.delete_namespaced_service_account("robot", namespace)
    assert deleted.metadata.name == "robot", deleted


def test_rbac_kinds_are_kept_and_validated(core, namespace):
    rbac = client.RbacAuthorizationV1Api()
    rule = client.V1PolicyRule(verbs=["get"], api_groups=[""], resources=["secrets"], resource_names=["s"])
    rbac.create_namespaced_role(namespace, client.V1Role(metadata=client.V1ObjectMeta(name="r"), rules=[rule]))
    assert rbac.read_namespaced_role("r", namespace).rules[0].resource_names == ["s"]
    binding = client.V1RoleBinding(
        metadata=client.V1ObjectMeta(name="b"),
        role_ref=client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="Role", name="r"),
        subjects=[client.RbacV1Subject(kind="ServiceAccount", name="robot", namespace=namespace)],
    )
    rbac.create_namespaced_role_binding(namespace, binding)
    other = {"roleRef": {"name": "other"}}
    refused(422, "Invalid", rbac.patch_namespaced_role_binding, "b", namespace, other)
    bad = client.V1Role(metadata=client.V1ObjectMeta(name="bad"), rules=[client.V1PolicyRule(verbs=[], resources=["x"])])
    refused(422, "Invalid", rbac.create_namespaced_role, namespace, bad)
    name = f"{namespace}-reader"
    rbac.create_cluster_role(client.V1ClusterRole(metadata=client.V1ObjectMeta(name=name), rules=[rule]))
    subject = client.RbacV1Subject(kind="User", name="ada", api_group="rbac.authorization.k8s.io")
    rbac.create_cluster_role_binding(
        client.V1ClusterRoleBinding(
            metadata=client.V1ObjectMeta(name=name),
            role_ref=client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="ClusterRole", name=name),
            subjects=[subject],
        )
    )
    assert rbac.read_cluster_role_binding(name).subjects[0].name == "ada"
    rbac.delete_cluster_role_binding(name)
    rbac.delete_cluster_role(name)


def with_token(token):
    """A client of its own that presents this token."""
    configuration = client.Configuration.get_default_copy()
    configuration.refresh_api_key_hook = None
    configuration.api_key = {"authorization": token}
    configuration.api_key_prefix = {"authorization": "Bearer"}
    return client.ApiClient(configuration)


def test_a_service_account_does_what_a_role_binding_grants_and_no_more(core, namespace):
    core.create_namespaced_secret(namespace, secret("db", password="v"))
    core.create_namespaced_secret(namespace, secret("other", password="v"))
    core.create_namespaced_service_account(namespace, client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="app")))
    spec = client.V1TokenRequestSpec(audiences=[], expiration_seconds=600)
    request = client.AuthenticationV1TokenRequest(spec=spec)
    token = core.create_namespaced_service_account_token("app", namespace, request).status.token
    app = with_token(token)
    app_core = client.CoreV1Api(app)
    name = f"system:serviceaccount:{namespace}:app"
    assert client.AuthenticationV1Api(app).create_self_subject_review({}).status.user_info.username == name
    refused(403, "Forbidden", app_core.read_namespaced_secret, "db", namespace)

    rbac = client.RbacAuthorizationV1Api()
    rule = client.V1PolicyRule(verbs=["get"], api_groups=[""], resources=["secrets"], resource_names=["db"])
    rbac.create_namespaced_role(namespace, client.V1Role(metadata=client.V1ObjectMeta(name="read-db"), rules=[rule]))
    binding = client.V1RoleBinding(
        metadata=client.V1ObjectMeta(name="read-db"),
        role_ref=client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="Role", name="read-db"),
        subjects=[client.RbacV1Subject(kind="ServiceAccount", name="app", namespace=namespace)],
    )
    rbac.create_namespaced_role_binding(namespace, binding)
    assert app_core.read_namespaced_secret("db", namespace).data == {"password": encode("v")}

    error = refused(403, "Forbidden", app_core.list_namespaced_secret, namespace)
    body = json.loads(error.body)
    who = f'User "{name}" cannot list resource "secrets" in API group "" in the namespace "{namespace}"'
    assert body["message"] == f"secrets is forbidden: {who}", body
    assert (body["kind"], body["status"], body["code"]) == ("Status", "Failure", 403), body
    assert body["details"]["kind"] == "secrets" and "name" not in body["details"], body
    [cause] = body["details"]["causes"]
    assert cause["reason"] == "AccessHint", cause
    assert f"strongroom access explain list secrets -n {namespace}" in cause["message"], cause

    authorization = client.AuthorizationV1Api(app)
    rules = authorization.create_self_subject_rules_review({"spec": {"namespace": namespace}}).status
    granted = [(rule.verbs, rule.resources, rule.resource_names) for rule in rules.resource_rules]
    assert (["get"], ["secrets"], ["db"]) in granted, granted
    assert not rules.incomplete
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "secrets", "namespace": namespace, "name": "db"}}}
    status = authorization.create_self_subject_access_review(review).status
    assert status.allowed and f'RoleBinding "read-db/{namespace}"' in status.reason, status
    of_app = {"spec": {"user": name, **review["spec"]}}
    refused(403, "Forbidden", authorization.create_subject_access_review, of_app)
    assert client.AuthorizationV1Api().create_subject_access_review(of_app).status.allowed
    reviewed = client.AuthenticationV1Api().create_token_review({"spec": {"token": token}}).status
    assert reviewed.authenticated and reviewed.user.username == name, reviewed

    rbac.delete_namespaced_role_binding("read-db", namespace)
    refused(403, "Forbidden", app_core.read_namespaced_secret, "db", namespace)
    core.delete_namespaced_service_account("app", namespace)
    refused(401, "Unauthorized", app_core.read_namespaced_secret, "db", namespace)


def test_the_administrator_acts_as_others(core, namespace):
    ada = client.ApiClient()
    ada.set_default_header("Impersonate-User", "ada")
    refused(403, "Forbidden", client.CoreV1Api(ada).list_namespaced_secret, namespace)
    who = client.AuthenticationV1Api(ada).create_self_subject_review({}).status.user_info
    assert (who.username, who.groups) == ("ada", ["system:authenticated"]), who


def test_the_administrator_may_everything(core, namespace):
    review = client.AuthorizationV1Api().create_self_subject_access_review(
        {"spec": {"resourceAttributes": {"verb": "get", "resource": "secrets", "namespace": namespace}}}
    )
    assert review.status.allowed, review
    who = client.AuthenticationV1Api().create_self_subject_review({})
    assert who.status.user_info.username == "admin", who
    assert "system:masters" in who.status.user_info.groups, who


def test_the_dynamic_client_finds_its_way_by_discovery(core, namespace):
    resources = dynamic.DynamicClient(core.api_client)
    secrets = resources.resources.get(api_version="v1", kind="Secret")
    assert secrets.namespaced and "deletecollection" in secrets.verbs
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "d"}, "stringData": {"k": "v"}}
    secrets.create(body=body, namespace=namespace)
    assert secrets.get(name="d", namespace=namespace).data.k == encode("v")
    applied = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "d", "labels": {"l": "1"}}}
    secrets.server_side_apply(body=applied, namespace=namespace, field_manager="dynamic")
    assert secrets.get(namespace=namespace, label_selector="l=1").items[0].metadata.name == "d"
    secrets.delete(name="d", namespace=namespace)
    roles = resources.resources.get(api_version="rbac.authorization.k8s.io/v1", kind="Role")
    assert roles.get(namespace=namespace).items == []
    assert resources.version["kubernetes"]["minor"] == "32", resources.version


def test_a_wrong_token_is_unauthorized_and_none_is_forbidden(core, namespace):
    wrong = client.Configuration.get_default_copy()
    wrong.refresh_api_key_hook = None
    wrong.api_key = {"BearerToken": "Bearer sr_wrong"}
    refused(401, "Unauthorized", client.CoreV1Api(client.ApiClient(wrong)).list_namespaced_secret, namespace)
    nobody = client.Configuration.get_default_copy()
    nobody.refresh_api_key_hook = None
    nobody.api_key = {}
    nobody = client.ApiClient(nobody)
    refused(403, "Forbidden", client.CoreV1Api(nobody).list_namespaced_secret, namespace)
    assert client.VersionApi(nobody).get_code().minor == "32"


def test_what_is_taken_or_misnamed_is_refused(core, namespace):
    core.create_namespaced_secret(namespace, secret("s"))
    refused(409, "AlreadyExists", core.create_namespaced_secret, namespace, secret("s"))
    refused(422, "Invalid", core.create_namespaced_secret, namespace, secret("Not A Name"))
    refused(422, "Invalid", core.create_namespaced_secret, namespace, secret("k", **{"a b": "v"}))
    refused(400, "BadRequest", core.create_namespaced_secret, namespace, {"metadata": {"name": "x"}, "data": {"k": "!"}})
    refused(400, "BadRequest", core.replace_namespaced_secret, "s", namespace, secret("other"))


def test_a_certificate_is_issued_renewed_and_watched(core, namespace):
    ours = client.CustomObjectsApi()
    place = ("strongroom.dev", "v1alpha1", namespace, "certificates")
    spec = {"secretName": "web", "dnsNames": ["web.example"], "duration": "24h"}
    ours.create_namespaced_custom_object(*place, {"metadata": {"name": "web"}, "spec": spec})

    def until(revision):
        for event in watch.Watch().stream(ours.list_namespaced_custom_object, *place, timeout_seconds=60):
            status = event["object"].get("status", {})
            if status.get("revision") == revision:
                return status
        raise AssertionError(f"there is no revision {revision}")

    status = until(1)
    assert {c["type"]: c["status"] for c in status["conditions"]} == {"Ready": "True", "Issuing": "False"}, status
    first = core.read_namespaced_secret("web", namespace)
    assert first.type == "kubernetes.io/tls" and sorted(first.data) == ["ca.crt", "tls.crt", "tls.key"]
    patch = {"metadata": {"annotations": {"strongroom.dev/rotate-now": "1"}}}
    ours.patch_namespaced_custom_object(*place, "web", patch)
    assert until(2)["lastHandledRequest"] == "1"
    assert core.read_namespaced_secret("web", namespace).data["tls.key"] != first.data["tls.key"]
    wrong = {"metadata": {"name": "w"}, "spec": {"secretName": "w", "duration": "1s"}}
    refused(422, "Invalid", ours.create_namespaced_custom_object, *place, wrong)


def main():
    config.load_kube_config(config_file=sys.argv[1])
    core = client.CoreV1Api()
    failed = 0
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    for number, (name, test) in enumerate(tests):
        namespace = f"t{number}"
        core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))
        try:
            test(core, namespace)
            print(f"ok {name}")
        except Exception:
            failed += 1
            print(f"FAILED {name}")
            traceback.print_exc(file=sys.stdout)
    print(f"{len(tests) - failed} of {len(tests)} succeeded")
    sys.exit(1 if failed else 0)


main()
