"""What the chart renders, without a cluster."""

import re

import pytest
import yaml

from chart.rendering import (
    CHART,
    NAMESPACE,
    QUICKSTART,
    RELEASE,
    ROOT,
    container,
    environment,
    helm,
    named,
    of_kind,
    pod_templates,
    render,
    try_to_render,
)  # fmt: skip
from tuneloop_contracts.jobs import RedisMode
from tuneloop_contracts.names import manifest_configmap
from tuneloop_contracts.pods import STATUS_PORT, STATUS_PORT_NAME
from tuneloop_contracts.stores import Store, mount_path
from tuneloop_operator.settings import Settings as OperatorSettings
from tuneloop_server.settings import Settings as ServerSettings

OPERATOR = f"{RELEASE}-operator"
SERVER = "chat-llm"
COMBINATIONS = [
    (),
    (QUICKSTART,),
    (QUICKSTART, f"watchNamespaces={{{NAMESPACE},other}}"),
    (QUICKSTART, "networkPolicy.enabled=false", "crds.enabled=false"),
    (QUICKSTART, "quickstart.redis.enabled=false", "quickstart.redis.existingSecret=mine", "quickstart.apiKeys.existingSecret=keys"),
    (QUICKSTART, "quickstart.engine=vllm", "quickstart.vllm.image=example.com/vllm:v1"),
    ("image.pullSecrets={one,two}", QUICKSTART, "image.tag=v2", "operator.nodeSelector.disk=fast"),
]


@pytest.mark.parametrize("settings", COMBINATIONS, ids=" ".join)
def test_it_renders_and_lints(settings: tuple[str, ...]) -> None:
    assert of_kind(render(*settings), "Deployment")
    linted = helm("lint", "--strict", "--kube-version", "1.34", str(CHART), settings=settings)
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("quickstart.replica=3", "'replica'"),
        ("settings.lorarank=8", "'lorarank'"),
        ("settings.loraRank=0", "/settings/loraRank"),
        ("settings.learningRate=fast", "/settings/learningRate"),
        ("settings.learningRate=0", "/settings/learningRate"),
        ("settings.autoTrainingInterval=weekly", "/settings/autoTrainingInterval"),
        ("settings.autoTrainingInterval=0d", "/settings/autoTrainingInterval"),
        ("settings.autoTrainingInterval=9999999d", "/settings/autoTrainingInterval"),
        ("image.registry=https://ghcr.io/x", "/image/registry"),
        ("image.registry=ghcr.io/x/", "/image/registry"),
        ("image.names.server=server:v3", "/image/names/server"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("watchNamespaces={a_b}", "/watchNamespaces/0"),
        ("crds.keep=maybe", "/crds/keep"),
        ("quickstart.name=9lives", "/quickstart/name"),
        ("quickstart.model.name=auto", "/quickstart/model/name"),
        ("watchNamespaces={elsewhere}", "watchNamespaces: must hold demo"),
        ("quickstart.redis.enabled=false", "quickstart.redis.existingSecret: needed"),
        ("quickstart.redis.mode=Cluster", "quickstart.redis.mode: Cluster is for a Redis of your own"),
        ("quickstart.redis.mode=cluster", "/quickstart/redis/mode"),
    ],
)
def test_a_wrong_value_is_refused_naming_the_field(setting: str, field: str) -> None:
    done = try_to_render(QUICKSTART, setting)
    assert done.returncode != 0
    assert field in done.stderr


@pytest.mark.parametrize("name", ["settings", "settings.loraRank", "quickstart", "image.names.server", "operator.resources"])
def test_a_value_that_is_taken_away_is_missed_by_its_name(name: str) -> None:
    done = try_to_render(f"{name}=null")
    assert done.returncode != 0
    assert f"missing property '{name.rpartition('.')[2]}'" in done.stderr


@pytest.mark.parametrize("name", ["image.tag", "quickstart.apiKeys.existingSecret", "quickstart.storage.storageClassName"])
def test_what_may_be_empty_may_be_null(name: str) -> None:
    assert try_to_render(QUICKSTART, f"{name}=null").returncode == 0


@pytest.mark.parametrize("release", ["my.release", "9lives", "9.tuneloop", "a" * 53])
def test_any_release_may_be_called_as_helm_allows(release: str) -> None:
    """A Service's name is a label that begins with a letter, and job pods reach the operator by it."""
    done = helm("template", release, str(CHART), "--kube-version", "1.34")
    assert done.returncode == 0, done.stderr
    manifests = [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]
    (service,) = [manifest["metadata"]["name"] for manifest in of_kind(manifests, "Service")]
    assert re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", service)
    assert environment(manifests, service)["PROGRESS_URL"] == f"http://{service}.default.svc:8082"


def test_every_value_is_in_the_schema_and_described() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())

    def compare(value: object, node: dict[str, object], path: str) -> None:
        assert node.get("description") or node.get("type") == "object", f"{path} is not described"
        if isinstance(value, dict) and "properties" in node:
            assert node["additionalProperties"] is False, path
            properties = node["properties"]
            assert isinstance(properties, dict)
            assert set(properties) - {"global"} == set(value), path
            needed = set() if path.endswith("resources") else {name for name, inner in value.items() if inner and name != "replicas"}
            assert set(node.get("required", ())) == needed, f"{path}: what null would take away"  # type: ignore[call-overload]
            for name, inner in value.items():
                compare(inner, properties[name], f"{path}.{name}")

    compare(values, schema, "values")


def test_the_original_settings_reach_the_operator() -> None:
    settings = {
        "enableFineTuning": ("false", "ENABLE_FINE_TUNING"), "minExamplesPerDomain": ("1000000", "MIN_EXAMPLES_PER_DOMAIN"),
        "trainingDataDays": ("7", "TRAINING_DATA_DAYS"), "autoTrainingInterval": ("1d12h", "AUTO_TRAINING_INTERVAL"),
        "loraRank": ("8", "LORA_RANK"), "loraAlpha": ("64", "LORA_ALPHA"), "trainingEpochs": ("1", "TRAINING_EPOCHS"),
        "learningRate": ("2e-5", "LEARNING_RATE"),
    }  # fmt: skip
    got = environment(render(*(f"settings.{name}={value}" for name, (value, _) in settings.items())), OPERATOR)
    assert {name: got[name] for _, name in settings.values()} == {name: value for value, name in settings.values()}


def test_the_original_defaults_are_the_charts() -> None:
    got = environment(render(), OPERATOR)
    want = {
        "ENABLE_FINE_TUNING": "true", "MIN_EXAMPLES_PER_DOMAIN": "50", "TRAINING_DATA_DAYS": "30", "AUTO_TRAINING_INTERVAL": "7d",
        "LORA_RANK": "16", "LORA_ALPHA": "32", "TRAINING_EPOCHS": "3", "WATCH_NAMESPACES": "",
        "PROGRESS_URL": f"http://{OPERATOR}.{NAMESPACE}.svc:8082", "IMAGE_PULL_POLICY": "IfNotPresent",
    }  # fmt: skip
    assert {name: got[name] for name in want} == want
    assert float(got["LEARNING_RATE"]) == 1e-4


def test_the_operator_understands_what_the_chart_tells_it() -> None:
    settings = OperatorSettings.from_environment(environment(render("watchNamespaces={a,b}", "settings.autoTrainingInterval="), OPERATOR))
    assert settings.watch_namespaces == ("a", "b")
    assert settings.auto_training_interval == ""
    assert OperatorSettings.from_environment(environment(render(), OPERATOR)).learning_rate == 1e-4


def test_the_server_understands_what_the_chart_tells_it() -> None:
    settings = ServerSettings.from_env(environment(render(QUICKSTART, "quickstart.maxNewTokens=32"), SERVER))
    assert (settings.target, settings.model_name, settings.max_new_tokens) == (f"{NAMESPACE}/{SERVER}", "smollm2-135m-instruct", 32)


def test_what_tenants_share_and_how_much_they_may_ask_is_set_by_the_chart() -> None:
    untouched = ServerSettings.from_env(environment(render(QUICKSTART), SERVER))
    assert (untouched.semantic_cache_domains, untouched.tenant_concurrency) == ((), 0)
    set_up = render(QUICKSTART, "quickstart.semanticCacheDomains={support,legal}", "quickstart.tenantConcurrency=4")
    settings = ServerSettings.from_env(environment(set_up, SERVER))
    assert (settings.semantic_cache_domains, settings.tenant_concurrency) == (("support", "legal"), 4)


def test_the_cache_lifetime_reaches_the_server() -> None:
    assert environment(render(QUICKSTART), SERVER)["CACHE_TTL"] == "86400"
    assert environment(render(QUICKSTART, "settings.cacheTTL=3024000"), SERVER)["CACHE_TTL"] == "3024000"


def test_images_come_from_one_registry_with_one_tag() -> None:
    manifests = render(
        QUICKSTART,
        "image.registry=127.0.0.1:5000",
        "image.tag=v2",
        f"image.names.redis=redis:7@sha256:{'a' * 64}",
        "image.pullPolicy=Never",
    )
    images = {name: container(manifests, name)["image"] for name in pod_templates(manifests)}
    assert images == {
        OPERATOR: "127.0.0.1:5000/tuneloop-operator:v2", f"{SERVER}-target": "127.0.0.1:5000/tuneloop-operator:v2",
        SERVER: "127.0.0.1:5000/tuneloop-server:v2", f"{SERVER}-redis": "127.0.0.1:5000/redis:7@sha256:" + "a" * 64,
    }  # fmt: skip
    assert {container(manifests, name)["imagePullPolicy"] for name in images} == {"Never"}
    operator = environment(manifests, OPERATOR)
    assert operator["TRAINER_IMAGE"] == "127.0.0.1:5000/tuneloop-trainer:v2"
    assert operator["HARVEST_IMAGE"] == "127.0.0.1:5000/tuneloop-harvest:v2"
    assert operator["IMAGE_PULL_POLICY"] == "Never"


def test_job_pods_pull_with_the_same_secrets() -> None:
    """Or an automatic job, whose spec nobody writes, could not pull from a private registry."""
    settings = OperatorSettings.from_environment(environment(render("image.pullSecrets={one,two}"), OPERATOR))
    assert settings.image_pull_secrets == ("one", "two")
    assert OperatorSettings.from_environment(environment(render(), OPERATOR)).image_pull_secrets == ()


def test_the_chart_carries_the_crds() -> None:
    wanted = {file.name: file.read_text() for file in (ROOT / "crds").glob("*.yaml")}
    assert wanted, "no CRDs were found"
    assert {file.name: file.read_text() for file in (CHART / "files" / "crds").glob("*.yaml")} == wanted, "run `make crds`"


@pytest.mark.parametrize("keep", [True, False])
def test_rendering_changes_nothing_of_a_crd(keep: bool) -> None:
    rendered = {crd["metadata"]["name"]: crd for crd in of_kind(render(f"crds.keep={str(keep).lower()}"), "CustomResourceDefinition")}
    sources = [yaml.safe_load(file.read_text()) for file in (ROOT / "crds").glob("*.yaml")]
    assert sources
    for source in sources:
        crd = rendered[source["metadata"]["name"]]
        assert crd["spec"] == source["spec"]
        assert (crd["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep") is keep


def test_the_target_is_applied_whenever_the_release_changes() -> None:
    """Also when it is rolled back: else the Deployment would be of one revision, and its target of another."""
    job = named(render(QUICKSTART), "Job", f"{SERVER}-target")
    assert set(job["metadata"]["annotations"]["helm.sh/hook"].split(",")) == {"post-install", "post-upgrade", "post-rollback"}


def test_crds_can_be_left_to_others() -> None:
    assert not of_kind(render("crds.enabled=false"), "CustomResourceDefinition")


def test_the_server_keeps_its_contract() -> None:
    manifests = render(QUICKSTART, "quickstart.apiKeys.existingSecret=keys")
    pod, server = pod_templates(manifests)[SERVER]["spec"], container(manifests, SERVER)
    target = yaml.safe_load(named(manifests, "ConfigMap", f"{SERVER}-target")["data"]["target.yaml"])
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in server["volumeMounts"]}
    claims = {volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume}
    stores = {name: Store(store["uri"]).claim for name, store in target["spec"]["artifacts"].items()}

    assert environment(manifests, SERVER)["TUNELOOP_TARGET"] == f"{NAMESPACE}/{target['metadata']['name']}"
    assert environment(manifests, SERVER)["MODEL_NAME"] == target["spec"]["baseModel"]["name"]
    assert f"file://{environment(manifests, SERVER)['MODEL_PATH']}" == target["spec"]["baseModel"]["uri"]
    assert ports == {"http": 8000, STATUS_PORT_NAME: STATUS_PORT}
    assert mounts == {"/tmp": False, mount_path(stores["adapters"]): True, "/etc/tuneloop/api-keys": True}
    assert claims == {stores["adapters"]}
    assert stores["datasets"] not in claims, "training text lives apart"
    assert {claim["metadata"]["name"] for claim in of_kind(manifests, "PersistentVolumeClaim")} >= set(stores.values())
    assert named(manifests, "Role", SERVER)["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [manifest_configmap(SERVER)], "verbs": ["get", "list", "watch"]}
    ]
    assert environment(manifests, SERVER)["API_KEYS_FILE"] == "/etc/tuneloop/api-keys/keys.json"


def test_an_existing_secret_leaves_no_password_in_the_chart() -> None:
    manifests = render(QUICKSTART, "quickstart.redis.existingSecret=mine")
    assert not of_kind(manifests, "Secret")
    for name, variable, key in ((SERVER, "REDIS_URL", "url"), (f"{SERVER}-redis", "REDISCLI_AUTH", "password")):
        (entry,) = [entry for entry in container(manifests, name)["env"] if entry["name"] == variable]
        assert entry["valueFrom"]["secretKeyRef"] == {"name": "mine", "key": key}
    target = yaml.safe_load(named(manifests, "ConfigMap", f"{SERVER}-target")["data"]["target.yaml"])
    assert target["spec"]["redis"] == {"secretRef": {"name": "mine"}, "mode": "Standalone"}


def test_server_and_harvest_are_told_alike_how_a_redis_is_deployed() -> None:
    ours = (QUICKSTART, "quickstart.redis.enabled=false", "quickstart.redis.existingSecret=mine")
    manifests = render(*ours, "quickstart.redis.mode=Cluster")
    target = yaml.safe_load(named(manifests, "ConfigMap", f"{SERVER}-target")["data"]["target.yaml"])
    assert target["spec"]["redis"]["mode"] == environment(manifests, SERVER)["REDIS_MODE"] == RedisMode.CLUSTER


def test_probes_and_policies_name_ports_that_exist() -> None:
    manifests = render(QUICKSTART)
    ports = {
        component: {port["name"] for port in container(manifests, name)["ports"]}
        for component, name in (("operator", OPERATOR), ("server", SERVER), ("redis", f"{SERVER}-redis"))
    }
    for service in of_kind(manifests, "Service"):
        component = service["spec"]["selector"]["app.kubernetes.io/component"]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports[component]
    for component, name in (("operator", OPERATOR), ("server", SERVER)):
        probes = [probe for key, probe in container(manifests, name).items() if key.endswith("Probe")]
        assert {probe["httpGet"]["port"] for probe in probes} <= ports[component]
    for policy in of_kind(manifests, "NetworkPolicy"):
        component = policy["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/component")
        named_ports = {port["port"] for rule in policy["spec"].get("ingress", []) for port in rule["ports"]}
        assert not component or named_ports <= ports[component]
