"""The measures as Prometheus reads them, held to prometheus_client's own parsers."""

import math

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from lairchat.core.measures import Measures, Sample
from lairchat.transports.http_answer import Asked
from lairchat.transports.http_metrics import Exposition

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def measured() -> Measures:
    """Return measures of every kind with something in them."""
    measures = Measures()
    measures.message(200)
    measures.message(20_000)
    measures.logins.add("wrong", 3)
    measures.queries["commit"].observe(0.002)
    measures.gauge("lairchat_x_seconds", "X.", lambda: 4.5)
    measures.gauge("lairchat_none", "Nothing at present.", lambda: None)
    measures.gauges("lairchat_two", "Two.", ("a", "b"), lambda: [Sample(("1", '"\\\n'), 1)])
    measures.counters("lairchat_kept", "Kept elsewhere.", ("c",), lambda: [Sample(("d",), 7)])
    return measures


def samples(accept: str = "") -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = Exposition(measured()).answer(Asked("", accept))
    parse = openmetrics if accept else prometheus
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(answer.body.decode())
        for sample in family.samples
    }


def at(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_both_formats_say_the_same() -> None:
    older, newer = samples(), samples(OPENMETRICS)
    ours = {key: value for key, value in older.items() if key[0].startswith("lairchat_")}
    assert ours == {key: value for key, value in newer.items() if key[0].startswith("lairchat_")}
    assert ours[at("lairchat_messages_total", kind="app")] == 2
    assert ours[at("lairchat_auth_attempts_total", result="wrong")] == 3
    assert ours[at("lairchat_x_seconds")] == 4.5
    assert ours[at("lairchat_two", a="1", b='"\\\n')] == 1
    assert ours[at("lairchat_kept_total", c="d")] == 7
    assert not any(name == "lairchat_none" for name, _ in ours)
    assert not any(name.endswith("_created") for name, _ in ours)


def test_buckets_count_what_is_at_or_below_their_bound() -> None:
    found = samples()
    assert found[at("lairchat_message_bytes_bucket", le="128.0")] == 0
    assert found[at("lairchat_message_bytes_bucket", le="256.0")] == 1
    assert found[at("lairchat_message_bytes_bucket", le="16384.0")] == 1
    assert found[at("lairchat_message_bytes_bucket", le="+Inf")] == 2
    assert found[at("lairchat_message_bytes_count")] == 2
    assert found[at("lairchat_message_bytes_sum")] == 20_200
    commits = at("lairchat_db_query_seconds_count", op="commit")
    assert found[commits] == 1
    assert math.isclose(found[at("lairchat_db_query_seconds_sum", op="commit")], 0.002)


def test_the_figures_of_the_process_are_there() -> None:
    found = samples()
    assert found[at("process_resident_memory_bytes")] > 1e6
    assert found[at("process_open_fds")] > 2


def test_two_servers_in_one_process_do_not_meet() -> None:
    first, second = Exposition(measured()), Exposition(Measures())
    assert first.answer(Asked("", "")).body != second.answer(Asked("", "")).body


def test_the_format_is_the_one_that_was_asked_for() -> None:
    exposition = Exposition(Measures())
    assert exposition.answer(Asked("", OPENMETRICS)).type.startswith(
        b"application/openmetrics-text"
    )
    assert exposition.answer(Asked("", OPENMETRICS)).body.endswith(b"# EOF\n")
    assert exposition.answer(Asked("", "text/html")).type.startswith(b"text/plain")
