"""Which uses of features an older service does not know."""

import pytest

from unspool.definitions.document import load
from unspool.definitions.feature_levels import unknown_features
from unspool.definitions.release_level import LEVEL

HEAD = "document: {dsl: '1.0.3', namespace: n, name: w, version: '1.0.0'"


def features(text, level=0):
    return {each.pointer: each.message.split("'")[1] for each in unknown_features(load(text), level)}


@pytest.mark.parametrize(
    ("task", "pointer", "feature"),
    [
        ("emit: {event: {with: {source: 'urn:a', type: a}}}", "/emit", "emit"),
        ("listen: {to: {one: {with: {type: a}}}}", "/listen", "listen"),
        ("call: greet", "/call", "call: greet"),
        ("run: {script: {language: python, code: 'x = 1'}}", "/run", "run: script"),
        ("run: {workflow: {namespace: n, name: v, version: '1.0.0'}}", "/run", "run: workflow"),
    ],
)
def test_tasks(task, pointer, feature):
    text = f"{HEAD}}}\ndo: [{{outer: {{do: [{{inner: {{{task}}}}}]}}}}]\n"
    assert features(text) == {f"/do/0/outer/do/0/inner{pointer}": feature}


def test_what_the_first_release_knows():
    text = f"{HEAD}}}\ndo: [{{a: {{set: {{x: 1}}}}}}, {{b: {{run: {{shell: {{command: ls}}}}}}}}]\n"
    assert features(text) == {}


def test_members_of_the_definition():
    unspool = "metadata: {unspool: {idempotencyKey: '${ .id }', tags: {a: b}}}"
    text = f"{HEAD}, {unspool}}}\nschedule: {{every: {{hours: 1}}}}\ndo: [{{a: {{set: {{x: 1}}}}}}]\n"
    assert features(text) == {
        "/schedule": "schedule",
        "/document/metadata/unspool/idempotencyKey": "document.metadata.unspool.idempotencyKey",
        "/document/metadata/unspool/tags": "document.metadata.unspool.tags",
    }


def test_this_release_knows_everything():
    text = f"{HEAD}}}\nschedule: {{every: {{hours: 1}}}}\ndo: [{{a: {{set: {{x: 1}}}}}}]\n"
    assert features(text, LEVEL) == {}
