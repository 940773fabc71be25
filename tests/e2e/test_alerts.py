"""What is made of the metrics: alerts, their runbook, and the dashboard. They ask for what a real talead tells."""
import json
import os
import re

import yaml

from harness import SOURCE
from test_metrics import STAGES, PAGE, exercise, family, fetch, parse, promtool

NAME = re.compile(r"\btalea_[a-z_]+")
ALERTS = os.path.join(SOURCE, "contrib/prometheus/alerts.yml")
ALERTS_TEST = os.path.join(SOURCE, "contrib/prometheus/alerts_test.yml")
DASHBOARD = os.path.join(SOURCE, "contrib/grafana/talea.json")


def rules():
    with open(ALERTS) as f:
        return yaml.safe_load(f)["groups"][0]["rules"]


def dashboard_expressions():
    with open(DASHBOARD) as f:
        board = json.load(f)
    asked = [t["expr"] for panel in board["panels"] for t in panel.get("targets", [])]
    asked += [a["expr"] for a in board["annotations"]["list"]]
    sources = [x["datasource"] for x in [*board["panels"], *board["annotations"]["list"]] if "datasource" in x]
    sources += [t["datasource"] for panel in board["panels"] for t in panel.get("targets", [])]
    assert {source["uid"] for source in sources} == {"${datasource}"}
    queries = [v["definition"] for v in board["templating"]["list"] if v["type"] == "query"]
    return asked, queries


def test_the_alerts_fire_when_they_should_and_only_then():
    assert "SUCCESS" in promtool("check", "rules", ALERTS)
    assert "SUCCESS" in promtool("test", "rules", ALERTS_TEST)
    with open(ALERTS_TEST) as f:
        expected = [case for test in yaml.safe_load(f)["tests"] for case in test["alert_rule_test"]]
    names = {rule["alert"] for rule in rules()}
    assert {case["alertname"] for case in expected if case["exp_alerts"]} == names, "each fires in a test"
    assert {case["alertname"] for case in expected if not case["exp_alerts"]} == names, "each is silent in a test"


def test_alerts_and_dashboard_ask_for_metrics_that_exist(make_ledger):
    ledger = make_ledger(metrics=True)
    exercise(ledger)
    samples, typed = parse(fetch(ledger))
    there = {name for name, _, _ in samples}
    asked, queries = dashboard_expressions()
    texts = asked + queries + [rule["expr"] for rule in rules()]
    for text in texts:
        assert NAME.search(text) or text.startswith("up{"), text
        for name in NAME.findall(text):
            assert name in there, f"{name} in {text}"
    shown = {family(name, typed) for text in asked for name in NAME.findall(text)}
    assert typed.keys() - shown - STAGES == {"talea_db_pool_connections"}, "all but what is always 0, or not usual"


def test_the_expressions_of_the_dashboard_are_prometheus_language(tmp_path):
    asked, _ = dashboard_expressions()
    rule = [{"record": f"r{n}", "expr": text.replace("$__rate_interval", "5m")} for n, text in enumerate(asked)]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rule}]}))
    assert f"{len(asked)} rules found" in promtool("check", "rules", str(path))


def test_every_alert_has_its_place_in_the_runbook():
    with open(PAGE) as f:
        page = f.read()
    runbook = page[page.index(".Sh RUNBOOK"):]
    entries = re.findall(r"^\.Ss (\w+)$", runbook, re.M)
    assert entries == [rule["alert"] for rule in rules()]
    for rule in rules():
        name, notes = rule["alert"], rule["annotations"]
        assert notes["summary"] and notes["description"] and rule["labels"]["severity"] in ("critical", "warning")
        assert notes["runbook"] == f"talea-metrics(7), RUNBOOK, {name}"
    for name in NAME.findall(page):
        explained = re.sub("_(bucket|sum|count)$", "", name)
        assert f".It Cm {explained} " in page, f"{name} is not explained"
