"""What docker compose, hadolint and promtool cannot know: our own rules for what is delivered. `.ci/compose` runs it."""

import json
import re
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
OPERATIONS = "docs/operations.md"

# Networks without a way to the world, and who may be in those of the databases.
INTERNAL = {"engine", "data", "store", "watch"}
OPEN = {"front", "out"}
IN_DATA = {"ledger-db", "setup", "worker", "serve"}
IN_STORE = {"temporal-db", "schema", "temporal"}

# What the SDK's connection is configured by.
SDK_VARIABLES = {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY"}

# Named in docker-compose.yml before the programs know them; to be taken out here when they do.

PINNED = re.compile(r"^[a-z0-9./-]+:v?\d+\.\d+[a-z0-9.-]*(@sha256:[0-9a-f]{64})?$")
SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|PWD|SECRET|TOKEN|API_KEY|PRIVATE_KEY)")
SECRET_VALUE = re.compile(r"://[^/\s:@]+:[^/\s@]+@|whsec_|sk_(live|test)_|BEGIN [A-Z ]*PRIVATE KEY")
METRIC = re.compile(r"\b(?:recourse|temporal)_[a-z0-9_]+")

faults: list[str] = []


def demand(holds: object, fault: str) -> None:
    if not holds:
        faults.append(fault)


def read(path: str) -> str:
    return (ROOT / path).read_text()


def load(path: str) -> dict:
    return yaml.safe_load(read(path))


def sources(*crates: str) -> str:
    return "\n".join(file.read_text() for crate in crates for file in sorted((ROOT / crate).rglob("src/**/*.rs")))


# --- docker-compose.yml ---


def ends(services: dict) -> set[str]:
    """The services that do something and end: others wait for that."""
    return {
        name
        for service in services.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }


def check_service(name: str, service: dict, is_done: bool) -> None:
    demand(PINNED.match(service.get("image", "")), f"{name}: the image {service.get('image')} has no pinned version")
    restart = service.get("restart", "")
    wanted = r"on-failure:\d+" if is_done else "unless-stopped|always"
    demand(re.fullmatch(wanted, restart), f"{name}: restart is `{restart}`, not {wanted}")
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    for limit in ("cpus", "memory", "pids"):
        demand(limits.get(limit), f"{name}: no limit of {limit}")
    if not is_done:
        # docker compose leaves out what begins with x-.
        why_not = load("docker-compose.yml")["services"][name].get("x-no-healthcheck")
        asked = service.get("healthcheck", {}).get("test") or why_not
        demand(asked, f"{name}: neither a health check nor the reason for none (x-no-healthcheck)")
    demand("ALL" in service.get("cap_drop", []), f"{name}: does not drop all capabilities")
    demand("no-new-privileges:true" in service.get("security_opt", []), f"{name}: may get new privileges")
    demand(not service.get("privileged"), f"{name}: is privileged")
    demand(service.get("networks"), f"{name}: is in no network of its own")
    for port in service.get("ports", []):
        demand(port.get("host_ip") == "127.0.0.1", f"{name}: port {port['published']} is open to other machines")
        demand("front" in service["networks"], f"{name}: publishes a port and is not in `front`")
    for mount in service.get("volumes", []):
        if mount["type"] == "bind":
            path = Path(mount["source"])
            made = path.is_relative_to(ROOT / ".compose" / "identity")
            demand(path.exists() or made, f"{name}: there is no {path.relative_to(ROOT)}")
            demand(mount.get("read_only"), f"{name}: may write to {path.relative_to(ROOT)}")
    for variable, value in (service.get("environment") or {}).items():
        demand(not SECRET_VALUE.search(value or ""), f"{name}: {variable} contains a secret")
        named = SECRET_NAME.search(variable) and not variable.endswith("FILE") and value not in ("true", "false")
        demand(not named, f"{name}: {variable} takes a secret, give a file")


def check_ours(name: str, service: dict, known: set[str], by_file: set[str]) -> None:
    demand(service.get("read_only"), f"{name}: its file system can be written to")
    demand(not service.get("cap_add"), f"{name}: has capabilities")
    version = tomllib.loads(read("Cargo.toml"))["workspace"]["package"]["version"]
    demand(service["image"] == f"recourse:{version}", f"{name}: the image is not of version {version}")
    for variable in service.get("environment", {}):
        plain = variable.removesuffix("_FILE")
        if variable != plain and plain in by_file:
            target = service["environment"][variable]
            given = {f"/run/secrets/{secret['source']}" for secret in service.get("secrets", [])}
            demand(target in given, f"{name}: {variable} names {target}, which it is not given")
        else:
            plain = variable
        demand(plain in known, f"{name}: the program knows no {plain}")


def check_networks(config: dict) -> None:
    networks, services = config["networks"], config["services"]
    demand(set(networks) == INTERNAL | OPEN, f"networks are {sorted(networks)}")
    for name, network in networks.items():
        internal = bool((network or {}).get("internal"))
        demand(internal == (name in INTERNAL), f"network {name}: internal is {internal}")
    inside = {net: {name for name, service in services.items() if net in service["networks"]} for net in networks}
    demand(inside["data"] == IN_DATA, f"network data: {sorted(inside['data'])}, not {sorted(IN_DATA)}")
    demand(inside["store"] == IN_STORE, f"network store: {sorted(inside['store'])}, not {sorted(IN_STORE)}")
    demand(set(services["ledger-db"]["networks"]) == {"data"}, "ledger-db is in other networks than data")
    demand(set(services["temporal-db"]["networks"]) == {"store"}, "temporal-db is in other networks than store")
    for name in ("temporal", "ledger-db", "temporal-db"):
        demand(not OPEN & set(services[name]["networks"]), f"{name} can be reached from outside")
        demand(not services[name].get("ports"), f"{name} publishes a port")


def check_compose(config: dict) -> None:
    services, done = config["services"], ends(config["services"])
    entrypoint = read(".compose/entrypoint")
    by_file = set(re.search(r"for name in ([A-Z_ ]+);", entrypoint).group(1).split())
    for name, service in services.items():
        check_service(name, service, name in done)
        if service["image"].startswith("recourse:"):
            crates = ("worker" if service["command"][0] == "recourse-worker" else "starter", "activities")
            text = sources(*crates)
            known = set(re.findall(r'"(RECOURSE_[A-Z_]+|OTEL_[A-Z_]+)"', text)) | SDK_VARIABLES
            check_ours(name, service, known, by_file)
    demand(services["worker"]["deploy"].get("replicas") == 2, "worker: not two replicas")
    check_networks(config)
    prepare = read(".compose/prepare")
    for secret, where in config["secrets"].items():
        demand(f'"{secret}"' in prepare, f"secret {secret} is not made by .compose/prepare")
        demand(where.get("file", "").endswith(f".compose/secrets/{secret}"), f"secret {secret} is not a file of its name")
        used = any(secret == each["source"] for service in services.values() for each in service.get("secrets", []))
        demand(used, f"secret {secret} is used by nobody")
    for private in ("/.compose/secrets", "/.compose/identity"):
        demand(private in read(".gitignore").split(), f".gitignore does not have {private}")


def check_dockerfile() -> None:
    text = read(".compose/Dockerfile")
    images = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    for image in images:
        demand(PINNED.match(image), f"Dockerfile: {image} has no pinned version")
    rust = next((image for image in images if image.startswith("rust:")), "")
    built_with = tuple(map(int, re.findall(r"\d+", rust)[:2]))
    needed = tuple(map(int, tomllib.loads(read("Cargo.toml"))["workspace"]["package"]["rust-version"].split(".")[:2]))
    demand(built_with >= needed, f"Dockerfile: {rust} is older than the rust-version of Cargo.toml")
    demand(re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.MULTILINE), "Dockerfile: no user by number, so root")
    demand("STOPSIGNAL SIGTERM" in text, "Dockerfile: no STOPSIGNAL SIGTERM")
    for build in re.findall(r"cargo build[^\\\n]*", text):
        demand("--locked" in build, f"Dockerfile: `{build.strip()}` without --locked")
    sent = set(read(".dockerignore").split())
    for member in tomllib.loads(read("Cargo.toml"))["workspace"]["members"]:
        folder = member.split("/")[0]
        there = {f"!{folder}", f"!{member}/Cargo.toml"} & sent
        demand(there, f".dockerignore: the workspace's {member} is not there when the image is built")


# --- what watches ---


def documented() -> dict[str, str]:
    """The metrics in the table of docs/operations.md, and of which kind they are."""
    section = re.search(r"^## Metrics\n(.*?)^## ", read(OPERATIONS), re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `([a-z0-9_]+)` \| (\w+)", section.group(1) if section else "", re.MULTILINE)
    return dict(rows)


def check_metrics(expression: str, where: str, known: dict[str, str]) -> None:
    for name in METRIC.findall(expression):
        base = re.sub(r"_(bucket|count|sum)$", "", name)
        is_known = name in known or known.get(base) == "histogram"
        demand(is_known, f"{where}: {name} is not in the table of metrics in {OPERATIONS}")


def check_alerts(known: dict[str, str]) -> None:
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-"): title
               for title in re.findall(r"^#+ (.+)$", read(OPERATIONS), re.MULTILINE)}
    rules = [rule for group in load(".compose/prometheus/alerts.yml")["groups"] for rule in group["rules"]]
    names = [rule["alert"] for rule in rules]
    demand(len(names) == len(set(names)), "an alert is there twice")
    for rule in rules:
        name, notes_of = rule["alert"], rule.get("annotations", {})
        check_metrics(rule["expr"], f"alert {name}", known)
        demand(rule.get("for"), f"alert {name}: no `for`")
        severity = rule.get("labels", {}).get("severity")
        demand(severity in ("page", "ticket"), f"alert {name}: severity is {severity}")
        for text in ("summary", "description"):
            demand(notes_of.get(text), f"alert {name}: no {text}")
        runbook = notes_of.get("runbook", "")
        path, _, anchor = runbook.partition("#")
        demand(path == OPERATIONS and anchors.get(anchor) == name, f"alert {name}: {runbook} is no entry of its name")
        entry = re.search(rf"^### {name}\n\n\*\*(\w+)\.\*\*", read(OPERATIONS), re.MULTILINE)
        demand(entry and entry.group(1).lower() == severity, f"alert {name}: its entry does not say {severity}")
    entries = re.search(r"^## Alerts\n(.*?)^## ", read(OPERATIONS), re.MULTILINE | re.DOTALL).group(1)
    for title in re.findall(r"^### (\w+)$", entries, re.MULTILINE):
        demand(title in names, f"{OPERATIONS}: there is no alert {title}")
    tests = load(".compose/prometheus/alerts.test.yml")["tests"]
    tested = {each["alertname"] for test in tests for each in test["alert_rule_test"] if each["exp_alerts"]}
    demand(len(tested) >= 5, f"only {len(tested)} alerts are tested")


def check_dashboard(known: dict[str, str]) -> None:
    dashboard = json.loads(read(".compose/grafana/dashboards/recourse.json"))
    source = load(".compose/grafana/provisioning/datasources/prometheus.yml")["datasources"][0]["uid"]
    ids = [panel["id"] for panel in dashboard["panels"]]
    demand(len(ids) == len(set(ids)), "dashboard: two panels have one id")
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        where = f"dashboard: {panel['title']}"
        demand(panel["datasource"]["uid"] == source, f"{where}: unknown data source")
        demand(panel["targets"], f"{where}: shows nothing")
        for target in panel["targets"]:
            check_metrics(target["expr"], where, known)


def check_names(known: dict[str, str]) -> None:
    """The documented names are those of the code, and of the SDK's source where that is."""
    ours = [name for name in known if name.startswith("recourse_")]
    text = sources("activities", "worker", "starter")
    absent = [name for name in ours if name not in text]
    for name in absent:
        demand(False, f"{OPERATIONS}: no program has the metric {name}")
    home = Path.home() / ".cargo" / "registry" / "src"
    lock = {package["name"]: package["version"] for package in tomllib.loads(read("Cargo.lock"))["package"]}
    crates = [f"temporalio-{crate}-{lock[f'temporalio-{crate}']}" for crate in ("sdk-core", "common")]
    files = [file for crate in crates for folder in home.glob(f"*/{crate}") for file in (folder / "src").rglob("metrics*.rs")]
    sdk = "\n".join(file.read_text() for file in files)
    for name in known:
        if sdk and name.startswith("temporal_"):
            # The worker's exporter adds what counters and durations end with.
            bare = name.removeprefix("temporal_").removesuffix("_total").removesuffix("_seconds")
            demand(f'"{bare}"' in sdk, f"{OPERATIONS}: the SDK has no metric {name}")


def check_scrapes(config: dict) -> None:
    services = config["services"]
    for job in load(".compose/prometheus/prometheus.yml")["scrape_configs"]:
        found = [(name, each["port"]) for each in job.get("dns_sd_configs", []) for name in each["names"]]
        found += [tuple(target.split(":")) for each in job.get("static_configs", []) for target in each["targets"]]
        for host, port in found:
            if host == "127.0.0.1":
                continue
            demand(host in services and "watch" in services[host]["networks"], f"prometheus cannot reach {host}")
            listens = " ".join(value or "" for value in services.get(host, {}).get("environment", {}).values())
            demand(f":{port}" in listens or host == "collector", f"{host} does not listen on {port}")
    collector = load(".compose/collector/collector.yaml")
    for name, pipeline in collector["service"]["pipelines"].items():
        for kind in ("receivers", "processors", "exporters"):
            for part in pipeline[kind]:
                demand(part in collector[kind], f"collector: {name} names {part}, which is not there")


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    known = documented()
    demand(known, f"{OPERATIONS}: there is no table of metrics")
    check_compose(config)
    check_dockerfile()
    check_alerts(known)
    check_dashboard(known)
    check_names(known)
    check_scrapes(config)
    for fault in faults:
        print(f"error: {fault}")
    if faults:
        sys.exit(1)
    print(f"docker-compose.yml: {len(config['services'])} services as they should be; nothing was started")


if __name__ == "__main__":
    main()
