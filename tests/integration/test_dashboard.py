"""Every query of the Grafana dashboard has an answer, from a real Prometheus that scrapes a real Ray and an audit."""

import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from flame_ray.journal.telemetry import audit_text
from tests.integration.doubled_run import RUN
from tests.integration.head import Head, free_ports, started_head, wait_until
from tests.integration.runs import REPOSITORY
from tests.shown_runs import make_audit

PROMETHEUS = os.environ.get("PROMETHEUS") or shutil.which("prometheus")
DASHBOARDS = REPOSITORY / "clusters" / "dashboards"
LIMIT_S = 240.0

pytestmark = pytest.mark.skipif(
    PROMETHEUS is None, reason="there is no prometheus: apt-get install prometheus, or PROMETHEUS=/path/of/prometheus"
)


@contextmanager
def process(words: list[str], folder: Path, **options: Any) -> Iterator[subprocess.Popen]:
    """A process for the block, whose output is a file; it has its standard input."""
    with (folder / f"{Path(words[0]).name}.log").open("w") as output:
        made = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, **options)
        try:
            yield made
        finally:
            assert made.stdin is not None
            with suppress(BrokenPipeError):
                made.stdin.close()
            made.terminate()
            with suppress(subprocess.TimeoutExpired):
                made.wait(timeout=20)
            made.kill()
            made.wait(timeout=20)


@pytest.fixture(scope="module")
def head(tmp_path_factory) -> Iterator[Head]:
    gcs = free_ports(1)[0]
    variables = {"RAY_metrics_report_interval_ms": "1000"}
    with started_head(tmp_path_factory.mktemp("h"), "--num-cpus=1", gcs=gcs, environment=variables) as made:
        yield made


class Audits(BaseHTTPRequestHandler):
    """Shows the file of an audit, as the node exporter does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(audit_text(make_audit() | {"run": RUN}).encode())


@pytest.fixture(scope="module")
def exporter() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Audits) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def prometheus(head, exporter, tmp_path_factory) -> Iterator[str]:
    """The address of one with the file of clusters/, which reads more often, this exporter, and the folder of this head."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_ports(1)[0]
    text = (DASHBOARDS / "prometheus.yml").read_text().replace("/tmp/ray/", f"/tmp/fr{head.gcs}/")
    text = text.replace('["127.0.0.1:9100"]', f'["{exporter}"]')
    (folder / "prometheus.yml").write_text(text.replace("scrape_interval: 10s", "scrape_interval: 1s"))
    address = f"127.0.0.1:{port}"
    words = [str(PROMETHEUS), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    words += [f"--web.listen-address={address}"]
    run = [sys.executable, "-m", "tests.integration.doubled_run", str(folder / "runs")]
    environment = head.environment | {"RAY_ADDRESS": f"127.0.0.1:{head.gcs}"}
    with process(words, folder), process(run, folder, cwd=REPOSITORY, env=environment):
        wait_until(
            lambda: answers(address, "ray_flame_round"),
            LIMIT_S,
            lambda: "".join(path.read_text()[-3000:] for path in folder.glob("*.log")),
        )
        yield address


def answers(address: str, query: str) -> list[dict[str, Any]]:
    """The series of an answer; none while nobody answers. Raises HTTPError for a query that cannot be read."""
    words = urllib.parse.urlencode({"query": query})
    try:
        with urllib.request.urlopen(f"http://{address}/api/v1/query?{words}", timeout=10) as found:
            return json.load(found)["data"]["result"]
    except urllib.error.HTTPError as error:
        if error.code == 400:
            raise
        return []  # it starts
    except OSError:
        return []


def test_every_query_of_the_dashboard_has_an_answer(prometheus):
    dashboard = json.loads((DASHBOARDS / "flame-ray.json").read_text())
    queries = {target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())}
    assert len(queries) > 30
    filled = {query.replace("$run", RUN).replace("$__rate_interval", "1m") for query in queries}

    def left() -> list[str]:
        return [query for query in sorted(filled) if not answers(prometheus, query)]

    wait_until(lambda: not left(), LIMIT_S, lambda: f"these have no answer: {left()}")


def test_the_choice_of_runs_finds_the_run(prometheus):
    variables = json.loads((DASHBOARDS / "flame-ray.json").read_text())["templating"]["list"]
    query = next(each["definition"] for each in variables if each["name"] == "run")
    words = urllib.parse.urlencode({"match[]": query.removeprefix("label_values(").removesuffix(", run)")})
    with urllib.request.urlopen(f"http://{prometheus}/api/v1/label/run/values?{words}", timeout=10) as found:
        assert json.load(found)["data"] == [RUN]


def test_what_only_grows_ends_in_total_once(prometheus):
    (series,) = answers(prometheus, f'sum by (__name__) (ray_flame_learner_steps_total{{run="{RUN}"}})') or [{}]
    assert float(series["value"][1]) >= 2
    assert answers(prometheus, "ray_flame_learner_steps_total_total") == []
