"""`unspool schema`."""

import json

import jsonschema
import yaml


def test_it_prints_a_schema_that_accepts_definitions(unspool, home):
    result = unspool("schema")
    assert (result.code, result.stderr) == (0, "")
    schema = json.loads(result.stdout)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    validator = jsonschema.Draft7Validator(schema)
    assert validator.is_valid(yaml.safe_load((home / "greet.yaml").read_text()))
    assert not validator.is_valid(yaml.safe_load((home / "invalid.yaml").read_text()))


def test_its_help_has_an_example(unspool):
    assert "unspool schema > workflow.schema.json" in unspool("schema", "--help").stdout
