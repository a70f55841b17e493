"""The Grafana dashboard shows what a run exports, and its files fit together and what Ray expects of them."""

import configparser
import json
import re

import pytest
import yaml
from ray.dashboard.modules.metrics import metrics_head, templates

from flame_ray.journal.telemetry import EXPORTED
from tests.unit.clusters.launches import REPOSITORY

FOLDER = REPOSITORY / "clusters" / "dashboards"
DASHBOARD = json.loads((FOLDER / "flame-ray.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
NAME = re.compile(r"\bray_(flame_\w+)")
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}


def read(name: str) -> dict:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def test_the_dashboard_asks_for_nothing_that_no_run_exports():
    assert {name for expr in EXPRESSIONS for name in NAME.findall(expr)} <= {figure.name for figure in EXPORTED}


def test_every_figure_that_a_run_exports_is_in_the_dashboard():
    shown = {name for expr in EXPRESSIONS for name in NAME.findall(expr)}
    assert {figure.name for figure in EXPORTED} - shown == set()


def test_every_query_is_of_the_runs_that_are_chosen_and_groups_by_tags_that_the_figure_has():
    tags = {f"ray_{figure.name}": {"run", *figure.tags} for figure in EXPORTED}
    for expr in EXPRESSIONS:
        assert len(re.findall(r'\{run=~"\$run"\}', expr)) == len(NAME.findall(expr)), expr
        for by, name in re.findall(r"by \(([\w, ]+)\) \((?:rate\()?(\w+)\{", expr):
            assert set(by.split(", ")) <= tags[name], expr


def test_a_zero_is_made_of_no_figure_that_may_be_nan():
    made_of = {name for expr in EXPRESSIONS for name in re.findall(r"0 \* max by \([\w, ]+\) \(ray_(\w+)", expr)}
    assert made_of == {"flame_pairs", "flame_workers"}


def test_counters_alone_are_taken_as_rates():
    rated = {name for expr in EXPRESSIONS for name in re.findall(r"rate\(ray_(\w+)\{", expr)}
    assert rated and rated <= {figure.name for figure in EXPORTED if figure.is_counter}


def test_each_panel_has_a_number_and_a_place_of_its_own():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in DASHBOARD["panels"])


def test_each_query_asks_the_source_that_is_chosen_above():
    assert VARIABLES["datasource"]["query"] == "prometheus" and set(VARIABLES) == {"datasource", "run"}
    sources = [target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]]
    assert set(sources) == {"${datasource}"}


def test_prometheus_finds_the_nodes_where_ray_writes_them():
    (files,) = [each for job in read("prometheus.yml")["scrape_configs"] for each in job.get("file_sd_configs", ())]
    rays = yaml.safe_load(templates.PROMETHEUS_YML_TEMPLATE.format(prom_metrics_service_discovery_file_path="/tmp/ray/FILE"))
    name = metrics_head.PROMETHEUS_SERVICE_DISCOVERY_FILE
    assert files["files"] == [rays["scrape_configs"][0]["file_sd_configs"][0]["files"][0].replace("FILE", name)]


def test_grafana_has_the_source_that_rays_dashboard_asks_for():
    (source,) = read("provisioning/datasources/prometheus.yml")["datasources"]
    assert source["name"] == metrics_head.DEFAULT_PROMETHEUS_NAME and source["isDefault"] is True
    assert source["url"].replace("127.0.0.1", "localhost") == metrics_head.DEFAULT_PROMETHEUS_HOST


def test_grafana_lets_ray_embed_it_as_rays_own_settings_do_and_listens_on_this_machine_alone():
    ours, rays = (configparser.ConfigParser(interpolation=None, strict=False) for _ in range(2))
    ours.read_string((FOLDER / "grafana.ini").read_text(encoding="utf-8"))
    rays.read_string(templates.GRAFANA_INI_TEMPLATE)
    for section in ("security", "auth.anonymous"):
        assert dict(rays[section]).items() <= dict(ours[section]).items()  # ours may be closer than Ray's template
    assert ours["server"]["http_addr"] == "127.0.0.1"
    assert f"http://localhost:{ours['server']['http_port']}" == metrics_head.DEFAULT_GRAFANA_HOST


def test_grafana_has_no_administrator_with_a_known_password_and_no_folder_that_others_could_make():
    ini = configparser.ConfigParser(interpolation=None)
    ini.read_string((FOLDER / "grafana.ini").read_text(encoding="utf-8"))
    assert ini["security"]["disable_initial_admin_creation"] == ini["auth"]["disable_login_form"] == "true"
    assert ini["auth.anonymous"]["org_role"] == "Viewer" and ini["paths"]["data"].startswith("$__env{HOME}/")


def test_the_table_of_what_listens_names_each_port_of_the_commands_that_watch_a_run():
    text = (REPOSITORY / "clusters" / "README.md").read_text(encoding="utf-8")
    ini = configparser.ConfigParser(interpolation=None)
    ini.read_string((FOLDER / "grafana.ini").read_text(encoding="utf-8"))
    ports = {*re.findall(r"--web\.listen-address=127\.0\.0\.1:(\d+)", text), ini["server"]["http_port"]}
    table = text.partition("| what listens | where |")[2].partition("\n\n")[0]
    rows = [row for row in table.splitlines() if "127.0.0.1" in row]
    assert len(ports) == 3 and all(any(f"({port})" in row for row in rows) for port in ports)


@pytest.mark.parametrize("place", [0, 1], ids=["flame-ray", "Ray"])
def test_grafana_reads_both_folders_of_dashboards(place):
    provider = read("provisioning/dashboards/flame-ray.yml")["providers"][place]
    path = provider["options"]["path"]
    if provider["name"] == "flame-ray":
        assert (REPOSITORY / path.removeprefix("$PWD/") / "flame-ray.json").is_file()
    else:
        assert path == "/tmp/ray/session_latest/metrics/grafana/dashboards"
