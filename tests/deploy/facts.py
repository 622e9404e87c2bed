"""What the files in deploy/ say of lubdub and of each other, held against the program and its documentation.

    facts.py                 the names of all facts
    facts.py LUBDUB FACT     checks one with this binary; an AssertionError says what is wrong
    facts.py --rules         the queries of the dashboard as a Prometheus rule file
"""

import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import tomllib

import yaml

import dashboard

DEPLOY = pathlib.Path("deploy")
DOCKERFILE = DEPLOY / "docker/Dockerfile"
COMPOSE = DEPLOY / "compose/compose.yaml"
ALERTS = DEPLOY / "prometheus/alerts.yml"
UNIT = DEPLOY / "systemd/lubdub.service"
KUBERNETES = DEPLOY / "kubernetes"
REFERENCE = pathlib.Path("docs/reference/metrics.md")
ADMIN = pathlib.Path("docs/reference/admin.md")
OPENAPI = pathlib.Path("docs/reference/openapi.json")
# Stands for where an operator keeps the docs; what is behind it is a page of the project.
DOCS = "https://lubdub.example/"
TROUBLE = pathlib.Path("docs/topics/troubleshooting.md")
DEPLOYMENT = pathlib.Path("docs/topics/deploy.md")

# What Prometheus itself adds to every series, and to every scrape.
TARGET_LABELS = {"job", "instance"}
TARGET_METRICS = {"up": {}}
FACTS = {}


def fact(check):
    FACTS[check.__doc__] = check
    return check


# --- what the documentation says ---------------------------------------------------------------------


def reference():
    """Labels of each series by its name, each with the list of its values; and these lists."""
    text = REFERENCE.read_text()
    series = {}
    for name, about in re.findall(r"^### `(\w+)`\n(.*?)(?=^#)", text, re.M | re.S):
        listed = re.search(r"^- Labels: (.*)$", about, re.M)
        # Where labels are written alike, what each is of stands behind it, and in the heading of its list.
        labels = {label: label + of for label, of in re.findall(r"`(\w+)`([^,]*)", listed[1])} if listed else {}
        if "- Type: histogram" in about:
            series[f"{name}_bucket"] = labels | {"le": "le"}
            series[f"{name}_sum"] = series[f"{name}_count"] = labels
        else:
            series[name] = labels
    values = {
        label + of: set(re.findall(r"^\| `(\w+)` \|", about, re.M))
        for label, of, about in re.findall(r"^### Values of `(\w+)`(.*)\n((?s:.*?))(?=^#|\Z)", text, re.M)
    }
    assert len(series) > 20 and len(values) >= 6, f"{REFERENCE} is not of the form that was expected"
    return series, values


def anchors(page):
    """Anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", pathlib.Path(page).read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


# --- what the files say ------------------------------------------------------------------------------


def alerts():
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        yield from group["rules"]


def unit_settings(path):
    """Each setting of a unit with its last value."""
    return dict(re.findall(r"^(\w+)=(.*)$", path.read_text(), re.M))


def instructions(path):
    """The instructions of a Dockerfile, one of each line."""
    text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.M))
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def seconds(text):
    """A duration of lubdub's, of systemd's or of compose's."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    parts = re.findall(r"(\d+)(ms|s|m|h)", text)
    assert parts and "".join(map("".join, parts)) == text, f"{text!r} is no duration"
    return sum(int(number) * units[unit] for number, unit in parts)


def effective(lubdub, config):
    """The configuration that is in effect with a file."""
    return effective_with(lubdub, {"LUBDUB_CONFIG": str(config)})


def effective_with(lubdub, variables):
    """The configuration that is in effect with variables."""
    said = subprocess.run([lubdub, "config", "effective"], check=True, capture_output=True, env=os.environ | variables)
    return tomllib.loads(said.stdout.decode())


def longest_drain(settings):
    drain = settings["drain"]
    return seconds(drain["delay"]) + seconds(drain["timeout"])


def manifests(kind):
    """Every object of a kind in deploy/kubernetes."""
    for path in sorted(KUBERNETES.glob("*.yaml")):
        yield from (each for each in yaml.safe_load_all(path.read_text()) if each["kind"] == kind)


def pods():
    """The pods that have a lubdub in them, and that container of each."""
    for deployment in manifests("Deployment"):
        pod = deployment["spec"]["template"]
        ours = [each for each in pod["spec"]["containers"] if each["name"] == "lubdub"]
        assert len(ours) == 1, f"{deployment['metadata']['name']}: there should be one container called lubdub"
        yield deployment, pod, ours[0]


def variables(pod, container, directory):
    """What lubdub finds in its environment there, with its file in a directory of ours."""
    variables = {each["name"]: each["value"] for each in container["env"]}
    if "LUBDUB_CONFIG" in variables:
        there = pathlib.PurePath(variables["LUBDUB_CONFIG"])
        mount = next(each for each in container["volumeMounts"] if each["mountPath"] == str(there.parent))
        volume = next(each for each in pod["spec"]["volumes"] if each["name"] == mount["name"])
        maps = {each["metadata"]["name"]: each["data"] for each in manifests("ConfigMap")}
        here = pathlib.Path(directory) / there.name
        here.write_text(maps[volume["configMap"]["name"]][there.name])
        variables["LUBDUB_CONFIG"] = str(here)
    return variables


def pages():
    """Every page of the project."""
    yield from pathlib.Path(".").glob("*.md")
    for top in ("crates", "deploy", "docs", "fuzz", "tests"):
        for where, inner, files in os.walk(top):
            inner[:] = [name for name in inner if name not in {"target", "node_modules"}]
            yield from (pathlib.Path(where) / name for name in files if name.endswith(".md"))


# --- the facts ---------------------------------------------------------------------------------------


@fact
def parses(_):
    """every JSON, YAML and TOML file of deploy/ parses"""
    every = lambda text: list(yaml.safe_load_all(text))
    read = {".json": json.loads, ".yml": every, ".yaml": every, ".toml": tomllib.loads}
    files = [path for path in DEPLOY.rglob("*") if path.suffix in read]
    assert len(files) >= 8, "there should be more files"
    for path in files:
        try:
            assert read[path.suffix](path.read_text()), "it is empty"
        except Exception as error:
            raise AssertionError(f"{path}: {error}") from error


def is_known(where, query, series, values):
    """Every metric, label and label value of a query is in the reference."""
    found = re.findall(r"\b((?:lubdub|process|up)(?:_\w+)?)\b(?:\{([^}]*)\})?", query)
    assert found, f"{where}: there is no metric in {query}"
    for name, matchers in found:
        assert name in series, f"{where}: {name} is not in {REFERENCE}"
        for label, pattern in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', matchers):
            known = series[name].get(label)
            assert known or label in TARGET_LABELS, f"{where}: {name} has no label {label}"
            if "$" not in pattern and known in values:
                for value in pattern.split("|"):
                    assert value in values[known], f"{where}: {label} of {name} is never {value!r}"
    labels = set().union(*(series[name] for name, _ in found)) | TARGET_LABELS
    for grouping in re.findall(r"\bby \(([^)]*)\)", query):
        for label in grouping.split(","):
            assert label.strip() in labels, f"{where}: there is no label {label.strip()} to sum by"


@fact
def queries(_):
    """every metric, label and label value in dashboard and alerts is in docs/reference/metrics.md"""
    series, values = reference()
    series |= TARGET_METRICS
    for title, query in dashboard.queries():
        is_known(f"dashboard, {title}", query, series, values)
    for alert in alerts():
        is_known(alert["alert"], alert["expr"], series, values)


@fact
def alerts_are_told(_):
    """every alert is tested, documented, and says how bad it is"""
    tests = (DEPLOY / "prometheus/alerts.test.yml").read_text()
    for alert in alerts():
        name = alert["alert"]
        fires = re.search(rf"alertname: {name}\n +exp_alerts:\n", tests)
        assert fires, f"no test expects {name}"
        assert alert["labels"]["severity"] in {"warning", "critical"}, f"{name}: severity"
        address, _, anchor = alert["annotations"]["runbook_url"].partition("#")
        assert address.startswith(DOCS), f"{name}: the runbook is not below {DOCS}"
        page = address.removeprefix(DOCS)
        assert anchor == name.lower() and anchor in anchors(page), f"{name}: there is no {page}#{anchor}"


@fact
def figures_are_shown(_):
    """every metric of lubdub's own is on the dashboard or in an alert"""
    series, _ = reference()
    shown = " ".join([query for _, query in dashboard.queries()] + [alert["expr"] for alert in alerts()])
    for name in series:
        # Of a histogram the quantiles are shown.
        is_part = name.endswith(("_sum", "_count"))
        assert is_part or not name.startswith("lubdub_") or re.search(rf"\b{name}\b", shown), f"nobody sees {name}"


@fact
def places_of_panels(_):
    """panels of the dashboard have names of their own, data and a place of their own"""
    panels = dashboard.panels()
    for of in ("id", "title"):
        every = [panel[of] for panel in panels]
        assert len(set(every)) == len(every), f"an {of} is there twice"
    taken = {}
    for panel in panels:
        assert panel["type"] == "row" or panel["targets"], f"{panel['title']} shows nothing"
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, f"{panel['title']} is beyond the right edge"
        for place in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            other = taken.setdefault(place, panel["title"])
            assert other == panel["title"], f"{panel['title']} covers {other}"


@fact
def image(lubdub):
    """the image runs lubdub by number, without a shell, and its health check is a command of lubdub's"""
    lines = instructions(DOCKERFILE)
    last = max(index for index, (name, _) in enumerate(lines) if name == "FROM")
    assert ":" in lines[last][1] and not lines[last][1].endswith(":latest"), "the image is not pinned"
    final = dict(lines[last:])
    assert final["USER"] == "65532:65532", "not the nonroot user of distroless"
    assert "RUN" not in final, "nothing can run in an image without a shell"
    entry = json.loads(final["ENTRYPOINT"])
    check = json.loads(re.search(r"\bCMD (\[.*\])", final["HEALTHCHECK"])[1])
    assert check[:1] == entry and final["COPY"], "the health check is another program"
    copied = [value.split()[-1] for name, value in lines[last:] if name == "COPY"]
    assert entry[0] in copied, f"{entry[0]} is not in the image"
    # It answers 1 where nobody listens; 64 would say that there is no such command.
    asked = subprocess.run([lubdub, *check[1:], "--set", "admin.address=127.0.0.1:1"], capture_output=True)
    assert asked.returncode == 1, f"{check}: exit code {asked.returncode}, {asked.stderr.decode()}"
    timeout = seconds(re.search(r"--timeout=(\S+)", final["HEALTHCHECK"])[1])
    own = re.search(r"--timeout .*?\[default: (\w+)\]", subprocess.run(
        [lubdub, "healthcheck", "--help"], check=True, capture_output=True, text=True).stdout, re.S)[1]
    assert seconds(own) < timeout, "docker would give up before lubdub does"


@fact
def image_context(_):
    """what the image is built from is all of the workspace, by the oldest Rust"""
    workspace = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["workspace"]
    lines = instructions(DOCKERFILE)
    build = lines[: max(index for index, (name, _) in enumerate(lines) if name == "FROM")]
    copied = {source for name, value in build if name == "COPY" for source in value.split()[:-1]}
    needed = {"Cargo.toml", "Cargo.lock"} | {member.split("/")[0] for member in workspace["members"]}
    assert copied == needed, f"copied are {sorted(copied)}, needed {sorted(needed)}"
    kept = {line[1:] for line in pathlib.Path(".dockerignore").read_text().splitlines() if line.startswith("!")}
    wanted = needed | {value for name, text in lines if name == "COPY" and "--from" not in text
                       for value in text.split()[:-1]}
    assert kept == wanted, f".dockerignore keeps {sorted(kept)}, the Dockerfile wants {sorted(wanted)}"
    rust = workspace["package"]["rust-version"]
    assert build[0][1].startswith(f"rust:{rust}-"), f"Cargo.toml says Rust {rust}, the image {build[0][1]}"
    assert any("LUBDUB_REVISION=" in text for name, text in build if name == "RUN"), "the build is not told its revision"


@fact
def compose(lubdub):
    """compose mounts files that are there, publishes on loopback, and names ports that are listened on"""
    compose = yaml.safe_load(COMPOSE.read_text())
    services = compose["services"]
    for name, service in services.items():
        assert ":" in service["image"] and not service["image"].endswith(":latest"), f"{name} is not pinned"
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            there = (COMPOSE.parent / source).exists() if source.startswith(".") else source in compose["volumes"]
            assert there, f"{name}: there is no {source}"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} publishes {port} to everybody"
    ours = services["lubdub"]
    assert (COMPOSE.parent / ours["build"]["context"] / ours["build"]["dockerfile"]).exists()
    mounts = dict(mount.split(":")[1::-1] for mount in ours["volumes"])
    config = COMPOSE.parent / mounts[ours["environment"]["LUBDUB_CONFIG"]]
    settings = effective(lubdub, config)
    listens = settings["listen"]["public"]["address"].rpartition(":")[2]
    assert ours["ports"][0].split(":")[2] == listens, "the published port is not listened on"
    for name in ("clients", "frozen"):
        assert f"ws://lubdub:{listens}/" in services[name]["command"], f"{name} connect elsewhere"
    for upstream in settings["upstream"].values():
        host, port = re.fullmatch(r"ws://(\w+):(\d+)", upstream["url"]).groups()
        assert services[host]["command"][-1] == port, f"{host} does not listen on {port}"
    scrape = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"][0]
    admin = settings["admin"]["address"].rpartition(":")[2]
    assert scrape["static_configs"][0]["targets"] == [f"lubdub:{admin}"], "Prometheus scrapes elsewhere"
    assert scrape["job_name"] == "lubdub", "the alerts expect the job to be called lubdub"


@fact
def patience(lubdub):
    """systemd and compose wait for longer than a drain takes"""
    stop = seconds(unit_settings(UNIT)["TimeoutStopSec"])
    drain = longest_drain(effective(lubdub, DEPLOY / "systemd/lubdub.toml"))
    assert stop > drain + 1, f"TimeoutStopSec is {stop} s, a drain takes {drain} s"
    grace = seconds(yaml.safe_load(COMPOSE.read_text())["services"]["lubdub"]["stop_grace_period"])
    drain = longest_drain(effective(lubdub, DEPLOY / "compose/lubdub.toml"))
    assert grace > drain + 1, f"stop_grace_period is {grace} s, a drain takes {drain} s"


@fact
def exit_codes(lubdub):
    """systemd does not restart what lubdub calls a wrong command line or a wrong configuration"""
    usage = subprocess.run([lubdub, "run", "--no-such-flag"], capture_output=True).returncode
    mistake = subprocess.run([lubdub, "run", "--set", "listen.a.address=nowhere"], capture_output=True).returncode
    prevented = {int(code) for code in unit_settings(UNIT)["RestartPreventExitStatus"].split()}
    assert prevented == {usage, mistake}, f"the unit says {prevented}, lubdub {usage} and {mistake}"
    run = unit_settings(UNIT)["ExecStart"].split()
    known = subprocess.run([lubdub, *run[1:], "--help"], capture_output=True)
    assert known.returncode == 0, f"lubdub does not know {run[1:]}"


@fact
def drop_ins(lubdub):
    """deployment's page has every drop-in of the unit, and no other"""
    listed = set(re.findall(r"^\| `([\w-]+\.conf)` \|", DEPLOYMENT.read_text(), re.M))
    there = {path.name for path in UNIT.with_suffix(".service.d").glob("*.conf")}
    assert listed == there, f"only on one side: {sorted(listed ^ there)}"


@fact
def pairs_of_the_unit(lubdub):
    """unit and documentation say how many pairs the unit's limit of files carries"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    asked = {"LUBDUB_CONFIG": str(DEPLOY / "systemd/lubdub.toml"), "LUBDUB__RUNTIME__WORKERS": "1"}
    said = subprocess.run([lubdub, "check"], capture_output=True, text=True, env=os.environ | asked).stdout
    pairs = int(re.search(r"^up to (\d+) pairs", said, re.M)[1])
    # All but the pairs is the same with every limit; of an odd one, a file is left over.
    besides = hard - hard % 2 - 2 * pairs
    carried = (int(unit_settings(UNIT)["LimitNOFILE"]) - besides) // 2
    comment = int(re.search(r"carries (\d+) pairs", UNIT.read_text())[1])
    page = int(re.search(r"carries ([\d,]+) pairs with one worker", DEPLOYMENT.read_text())[1].replace(",", ""))
    assert comment == page == carried, f"the unit says {comment}, {DEPLOYMENT} {page}; it is {carried}"


@fact
def kubernetes_configuration(lubdub):
    """lubdub takes its configuration in every Kubernetes manifest, and only warns that metrics are open"""
    for deployment, pod, container in pods():
        name = deployment["metadata"]["name"]
        with tempfile.TemporaryDirectory() as directory:
            asked = variables(pod, container, directory)
            checked = subprocess.run([lubdub, "check"], capture_output=True, text=True, env=os.environ | asked)
            settings = effective_with(lubdub, asked)
        assert checked.returncode == 0, f"{name}: {checked.stderr}"
        warnings = re.findall(r"see: lubdub explain (\S+)", checked.stderr)
        assert warnings == ["admin-open"], f"{name}: {checked.stderr}"
        known = subprocess.run([lubdub, *container["args"], "--help"], capture_output=True)
        assert known.returncode == 0, f"{name}: lubdub does not know {container['args']}"
        grace = pod["spec"]["terminationGracePeriodSeconds"]
        drain = longest_drain(settings) + 1
        assert grace > drain, f"{name}: the grace period is {grace} s, a drain takes {drain} s"
        assert seconds(settings["drain"]["delay"]) > 0, f"{name}: the endpoint is closed before it is taken out"
        for other in pod["spec"]["containers"]:
            if other is not container:
                sleep = other["lifecycle"]["preStop"]["sleep"]["seconds"]
                assert drain < sleep < grace, f"{name}: {other['name']} sleeps for {sleep} s of {drain} to {grace}"
        # Each direction of a pair holds at most one read of 32 KiB (docs/topics/threat-model.md).
        assert isinstance(settings["limits"]["pairs"], int), f"{name}: the pairs are not limited"
        memory = int(re.fullmatch(r"(\d+)Mi", container["resources"]["limits"]["memory"])[1])
        backlog = settings["limits"]["pairs"] * 2 * 32 / 1024
        assert backlog < memory, f"{name}: {backlog} MiB may wait in {memory} MiB"
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        listens = {"public": settings["listen"]["public"]["address"], "admin": settings["admin"]["address"]}
        for port, address in listens.items():
            assert address == f"0.0.0.0:{ports[port]}", f"{name}: {port} is {ports[port]}, lubdub listens on {address}"


@fact
def kubernetes_wiring(_):
    """Kubernetes manifests run lubdub as the image does, ask what it answers, and find its pods and ports"""
    version = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["workspace"]["package"]["version"]
    user = int(dict(instructions(DOCKERFILE))["USER"].split(":")[0])
    answered = json.loads(OPENAPI.read_text())["paths"]
    for deployment, pod, container in pods():
        name = deployment["metadata"]["name"]
        assert container["image"].endswith(f"/lubdub:{version}"), f"{name}: {container['image']} is not {version}"
        security = pod["spec"]["securityContext"] | container["securityContext"]
        wanted = {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "allowPrivilegeEscalation": False,
                  "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
                  "seccompProfile": {"type": "RuntimeDefault"}}
        assert security == wanted, f"{name}: {security}"
        ports = {each["name"] for each in container["ports"]}
        for probe, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/livez")):
            asked = container[probe]["httpGet"]
            assert asked["path"] == path and path in answered, f"{name}: {probe} asks for {asked['path']}"
            assert asked["port"] == "admin" and "admin" in ports, f"{name}: {probe} asks {asked['port']}"
        labels = pod["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items(), f"{name}: selects others"
        services = [each for each in manifests("Service") if each["spec"]["selector"].items() <= labels.items()]
        assert services, f"{name} has no Service"
        for service in services:
            targets = [port["targetPort"] for port in service["spec"]["ports"]]
            assert targets == ["public"], f"the Service of {name} leads to {targets}"
        for monitor in manifests("PodMonitor"):
            assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items(), f"{name} is not scraped"
            assert labels[monitor["spec"]["jobLabel"]] == "lubdub", "the alerts expect the job to be called lubdub"
            scrape, = monitor["spec"]["podMetricsEndpoints"]
            assert scrape["port"] in ports and scrape["path"] in answered, f"{name}: nothing is scraped"
        for budget in manifests("PodDisruptionBudget"):
            if budget["spec"]["selector"]["matchLabels"].items() <= labels.items():
                assert budget["spec"]["minAvailable"] < deployment["spec"]["replicas"], f"{name} cannot be moved"


@fact
def trouble(lubdub):
    """every outcome, cause and answer of lubdub's own is in docs/topics/troubleshooting.md"""
    page = TROUBLE.read_text()
    _, values = reference()
    for label in ("outcome of handshakes", "cause", "diagnosis"):
        for value in values[label]:
            assert f"`{value}`" in page, f"{label} {value} is not in {TROUBLE}"
    for side, causes in effective(lubdub, DEPLOY / "systemd/lubdub.toml")["close"].items():
        for cause, code in causes.items():
            if cause == "reason":  # it has no code
                continue
            key = f"close.{side}.{cause}"
            assert re.search(rf"\b{code}\b.*`{re.escape(key)}`", page), f"{key} = {code} is not in {TROUBLE}"


@fact
def interface(_):
    """every path, parameter and field of docs/reference/openapi.json is in docs/reference/admin.md"""
    page = ADMIN.read_text()
    described = json.loads(OPENAPI.read_text())
    told = set(re.findall(r"^\| (?:(POST) )?`(/[^`]*)` \|", page, re.M))
    served = {("POST" if method == "post" else "", path)
              for path, methods in described["paths"].items() for method in methods}
    assert len(served) > 10, f"{OPENAPI} is not of the form that was expected"
    assert told == served, f"only on one side: {sorted(told ^ served)}"
    names = {parameter["name"] for methods in described["paths"].values() for method in methods.values()
             for parameter in method.get("parameters", []) if parameter["in"] == "query"}
    for schema in described["components"]["schemas"].values():
        for part in [schema, *schema.get("allOf", [])]:
            names |= part.get("properties", {}).keys() | set(part.get("enum", []))
    assert len(names) > 80, f"{OPENAPI} is not of the form that was expected"
    missing = sorted(name for name in names if f"`{name}`" not in page)
    assert not missing, f"not in {ADMIN}: {missing}"


@fact
def links(_):
    """links of all pages lead somewhere, and tests are in the files where pages say that they are"""
    tests = 0
    for page in pages():
        text = page.read_text()
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            other = (page.parent / path) if path else page
            assert other.exists(), f"{page}: there is no {path}"
            assert not anchor or anchor in anchors(other), f"{page}: there is no {target}"
        named = [([name], page.parent / path) for name, path in re.findall(r"\[`(\w+)`\]\((\S+\.rs)\)", text)]
        named += [(re.findall(r"`(\w+)`", names), pathlib.Path(path))
                  for names, path in re.findall(r"((?:`[a-z]+_\w+`,? )+)in `(crates/\S+\.rs)`", text)]
        for names, path in named:
            assert path.exists(), f"{page}: there is no {path}"
            for name in names:
                assert re.search(rf"\bfn {name}\b", path.read_text()), f"{page}: there is no {name} in {path}"
                tests += 1
    assert tests > 30, "README should name more tests"


def rules():
    queries = enumerate(dashboard.queries())
    every = [{"record": f"dashboard:{index}", "expr": dashboard.filled(query)} for index, (_, query) in queries]
    return yaml.safe_dump({"groups": [{"name": "dashboard", "rules": every}]})


match sys.argv[1:]:
    case []:
        print("\n".join(FACTS))
    case ["--rules"]:
        print(rules(), end="")
    case [program, name]:
        try:
            FACTS[name](program)
        except AssertionError as wrong:
            sys.exit(str(wrong) or "see above")
    case _:
        sys.exit(__doc__)
