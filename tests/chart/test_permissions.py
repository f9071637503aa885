"""Who may do what, asked of a real API server with the chart's roles on it."""

from collections.abc import Iterator

import pytest

from chart.rendering import CHART, NAMESPACE, QUICKSTART, RELEASE, Manifest, as_list, helm, installed, of_kind, render
from control_plane.process import ControlPlane, control_plane

MODES = [(QUICKSTART,), (QUICKSTART, f"watchNamespaces={{{NAMESPACE}}}")]
WORK = [
    ("get list watch", "inferencetargets.tuneloop.dev"),
    ("get list watch create", "finetunejobs.tuneloop.dev"),
    ("get list watch create patch", "loraadapters.tuneloop.dev"),
    ("patch", "inferencetargets.tuneloop.dev/status"),
    ("patch", "finetunejobs.tuneloop.dev/status"),
    ("patch", "loraadapters.tuneloop.dev/status"),
    ("get list watch create patch delete", "jobs.batch"),
    ("get list watch", "pods"),
    ("get list watch", "deployments.apps"),
    ("get list watch create update", "configmaps"),
    ("get", "persistentvolumeclaims"),
    ("create", "services"),
]
NEVER = [
    ("get list watch create", "secrets"),
    ("create patch delete update", "pods"),
    ("create", "pods/exec"),
    ("get", "pods/log"),
    ("patch update delete create", "deployments.apps"),
    ("create patch update delete", "inferencetargets.tuneloop.dev"),
    ("delete update patch", "finetunejobs.tuneloop.dev"),
    ("delete update", "loraadapters.tuneloop.dev"),
    ("delete", "configmaps"),
    ("create", "serviceaccounts/token"),
    ("create escalate bind", "clusterroles.rbac.authorization.k8s.io"),
    ("create escalate bind", "roles.rbac.authorization.k8s.io"),
    ("impersonate", "users"),
    ("list watch create patch", "customresourcedefinitions.apiextensions.k8s.io"),
    ("list watch", "namespaces"),
    ("get list", "nodes"),
]


def rules(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    for role in of_kind(manifests, "Role", "ClusterRole"):
        for rule in role["rules"]:
            yield role["metadata"]["name"], rule


@pytest.mark.parametrize("settings", MODES, ids=["cluster-wide", "namespaced"])
def test_no_role_holds_a_wildcard_a_secret_or_a_way_up(settings: tuple[str, ...]) -> None:
    seen = list(rules(render(*settings)))
    assert seen
    for role, rule in seen:
        words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert not any("*" in word for word in words), role
        assert not {"secrets", "pods/exec", "serviceaccounts/token"} & set(rule["resources"]), role
        assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"]), role


def test_watching_namespaces_leaves_only_token_reviews_cluster_wide() -> None:
    manifests = render(f"watchNamespaces={{{NAMESPACE},other}}")
    bound = {binding["roleRef"]["name"] for binding in of_kind(manifests, "ClusterRoleBinding")}
    wide = [rule for role, rule in rules(of_kind(manifests, "ClusterRole")) if role in bound]
    assert wide == [{"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}]
    places = {role["metadata"]["namespace"] for role in of_kind(manifests, "Role") if role["metadata"]["name"] == f"{RELEASE}-operator"}
    assert places == {NAMESPACE, "other"}


def test_a_job_is_made_by_the_clock_only_where_there_is_a_clock() -> None:
    for interval, want in (("7d", True), ("", False)):
        (verbs,) = [rule["verbs"] for role, rule in rules(render(f"settings.autoTrainingInterval={interval}"))
                    if role == f"{RELEASE}-operator.{NAMESPACE}" and rule["resources"] == ["finetunejobs"]]  # fmt: skip
        assert ("create" in verbs) is want


@pytest.fixture(scope="module")
def namespaced() -> Iterator[tuple[ControlPlane, str]]:
    """Two releases of one name, each of which watches only its own namespace; and the operator of the second."""
    with (
        control_plane() as running,
        installed(running, "large", "watchNamespaces={large}", name=RELEASE),
        installed(running, "small", "watchNamespaces={small}", "crds.enabled=false", name=RELEASE),
    ):
        yield running, f"system:serviceaccount:small:{RELEASE}-operator"


def may(plane: ControlPlane, who: str, verb: str, what: str, namespace: str, name: str = "") -> bool:
    (answer,) = ask(plane, [review(who, verb, what, namespace, name)])
    return answer


def review(who: str, verb: str, what: str, namespace: str, name: str = "") -> Manifest:
    """`what` is `resource[.group][/subresource]`."""
    resource, _, sub = what.partition("/")
    plural, _, group = resource.partition(".")
    attributes = {"verb": verb, "resource": plural, "group": group, "subresource": sub, "namespace": namespace, "name": name}
    return {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": who, "resourceAttributes": attributes},
    }  # fmt: skip


def ask(plane: ControlPlane, reviews: list[Manifest]) -> list[bool]:
    done = plane.kubectl("create", "-f", "-", "-o", "jsonpath={.status.allowed}{' '}", text=as_list(reviews))
    answers = done.stdout.split()
    assert len(answers) == len(reviews)
    return [answer == "true" for answer in answers]


def expect(plane: ControlPlane, who: str, table: list[tuple[str, str]], namespace: str, want: bool) -> None:
    asked = [(verb, what) for verbs, what in table for verb in verbs.split()]
    answers = ask(plane, [review(who, verb, what, namespace) for verb, what in asked])
    wrong = [f"{verb} {what}" for (verb, what), answer in zip(asked, answers, strict=True) if answer is not want]
    assert not wrong, f"{who} in {namespace}: {'may not' if want else 'may'} {', '.join(wrong)}"


@pytest.mark.control_plane
class TestOperator:
    who = f"system:serviceaccount:{NAMESPACE}:{NAMESPACE}-tuneloop-operator"

    def test_may_do_its_work_anywhere_and_nothing_else(self, plane: ControlPlane) -> None:
        expect(plane, self.who, WORK, "default", True)
        expect(plane, self.who, NEVER, "default", False)

    def test_may_review_tokens_and_hold_its_own_lease_only(self, plane: ControlPlane) -> None:
        lease = "leases.coordination.k8s.io"
        assert may(plane, self.who, "create", "tokenreviews.authentication.k8s.io", "")
        assert may(plane, self.who, "create", lease, NAMESPACE)
        assert may(plane, self.who, "update", lease, NAMESPACE, "tuneloop-operator")
        assert not may(plane, self.who, "update", lease, NAMESPACE, "another")
        assert not may(plane, self.who, "get", lease, "kube-system", "tuneloop-operator")

    def test_may_work_in_the_watched_namespaces_only(self, namespaced: tuple[ControlPlane, str]) -> None:
        plane, who = namespaced
        expect(plane, who, WORK, "small", True)
        expect(plane, who, NEVER, "small", False)
        expect(plane, who, WORK, "large", False)
        assert may(plane, who, "create", "tokenreviews.authentication.k8s.io", "")


@pytest.mark.control_plane
def test_the_server_may_read_its_own_manifest_only(plane: ControlPlane) -> None:
    who = f"system:serviceaccount:{NAMESPACE}:chat-llm"
    assert all(may(plane, who, verb, "configmaps", NAMESPACE, "chat-llm-adapters") for verb in ("get", "list", "watch"))
    assert not may(plane, who, "get", "configmaps", NAMESPACE, "other-adapters")
    assert not may(plane, who, "update", "configmaps", NAMESPACE, "chat-llm-adapters")
    assert not may(plane, who, "get", "secrets", NAMESPACE, "chat-llm-redis")


@pytest.mark.control_plane
@pytest.mark.parametrize(
    ("role", "can", "cannot"),
    [
        ("view", [("get list watch", "finetunejobs.tuneloop.dev")], [("create delete", "finetunejobs.tuneloop.dev")]),
        ("edit", [("create delete", "finetunejobs.tuneloop.dev"), ("patch", "loraadapters.tuneloop.dev"), ("get", "pods")],
         [("create patch", "inferencetargets.tuneloop.dev"), ("patch", "finetunejobs.tuneloop.dev/status")]),
        ("admin", [("create patch delete", "inferencetargets.tuneloop.dev"), ("create", "loraadapters.tuneloop.dev")],
         [("patch", "loraadapters.tuneloop.dev/status")]),
    ],
)  # fmt: skip
def test_people_get_our_kinds_with_the_clusters_own_roles(
    plane: ControlPlane, role: str, can: list[tuple[str, str]], cannot: list[tuple[str, str]]
) -> None:
    who = f"{role}er"
    binding = ("create", "rolebinding", who, f"--clusterrole={role}", f"--user={who}", "--namespace", "default")
    plane.kubectl(*binding)
    expect(plane, who, can, "default", True)
    expect(plane, who, cannot, "default", False)
    expect(plane, who, can, NAMESPACE, False)


@pytest.mark.control_plane
@pytest.mark.parametrize("watched", ["null", "{small}"])
def test_a_release_that_would_watch_what_another_does_is_refused(plane: ControlPlane, watched: str) -> None:
    settings = ("crds.enabled=false", f"watchNamespaces={watched}")
    done = helm("install", RELEASE, str(CHART), "--namespace", "small", "--create-namespace", plane=plane, settings=settings)
    assert done.returncode != 0
    assert f"watchNamespaces: release {NAMESPACE} in namespace {NAMESPACE} watches the whole cluster already" in done.stderr


@pytest.mark.control_plane
def test_releases_of_one_name_do_not_meet(namespaced: tuple[ControlPlane, str]) -> None:
    plane, _ = namespaced
    again = ("upgrade", RELEASE, str(CHART), "--namespace", "small", "--no-hooks", "--reuse-values")
    wider = helm(*again, plane=plane, settings=("watchNamespaces={small,large}",))
    assert f"release {RELEASE} in namespace large watches large already" in wider.stderr
    assert helm(*again, plane=plane).returncode == 0
