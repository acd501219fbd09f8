"""Key files: what they may say, and when they are read."""

import importlib.util
import logging

import pytest

from unspool.eventstore.encryption.key_ring import KeyFile, new_key, parsed_keys
from unspool.eventstore.encryption.payloads import payloads_of
from unspool.eventstore.encryption.settings import KEYS_VARIABLE
from unspool.eventstore.settings import BadSetting

ZEROS = "A" * 43 + "="


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_first_key_is_the_one_that_encrypts():
    lines = [new_key(id_) for id_ in ("2026-11", "b.2_x")]
    ring = parsed_keys("# keys\n\n" + "\n".join(lines))
    assert [key.id for key in ring.keys] == ["2026-11", "b.2_x"]
    assert ring.key("b.2_x") is ring.keys[1]
    assert ring.key("other") is None
    assert len({key.secret for key in ring.keys}) == 2


def test_a_key_does_not_show_its_secret():
    ring = parsed_keys(new_key("a"))
    assert repr(ring) == "KeyRing(keys=(Key('a'),))"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it has no key"),
        ("# nothing", "it has no key"),
        ("just-one-word", "line 1: not `ID BASE64`"),
        ("\nid one two", "line 2: not `ID BASE64`"),
        ("-x AAAA", "line 1: not `ID BASE64`"),
        ("a AAAA", "line 1: the key a is not 32 bytes"),
        ("a !!!!", "line 1: the key a is not 32 bytes"),
        (f"a {ZEROS}\na {ZEROS}", "line 2: the id a occurs twice"),
    ],
)
def test_a_file_that_is_not_valid(text, message, tmp_path):
    file = tmp_path / "keys"
    file.write_text(text)
    with pytest.raises(BadSetting) as caught:
        payloads_of({KEYS_VARIABLE: str(file)})
    assert str(caught.value).startswith(f"{KEYS_VARIABLE}: {file}: {message}")
    assert "AAAA" not in str(caught.value)


def test_a_file_that_does_not_exist(tmp_path):
    with pytest.raises(BadSetting, match="No such file"):
        payloads_of({KEYS_VARIABLE: str(tmp_path / "absent")})


def test_an_id_that_is_not_valid():
    with pytest.raises(BadSetting, match="the id of a key must match"):
        new_key("a b")


def test_a_file_is_read_again_when_it_changes(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    file, clock = tmp_path / "keys", Clock()
    file.write_text(new_key("a"))
    keys = KeyFile(file, clock)
    (tmp_path / "next").write_text(f"{new_key('b')}\n{file.read_text()}")
    (tmp_path / "next").replace(file)
    assert [key.id for key in keys.ring().keys] == ["a"]  # it looks once a second, at most
    clock.now += 1
    assert [key.id for key in keys.ring().keys] == ["b", "a"]
    assert caplog.records[-1].action == "keys_read"

    file.write_text("broken")
    clock.now += 1
    assert [key.id for key in keys.ring().keys] == ["b", "a"]
    assert caplog.records[-1].action == "keys_not_read"
    file.unlink()
    clock.now += 1
    assert [key.id for key in keys.ring().keys] == ["b", "a"]


def test_the_library_is_an_extra(tmp_path, monkeypatch):
    file = tmp_path / "keys"
    file.write_text(new_key("a"))
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "unspool.eventstore.encryption.cipher.find_spec",
        lambda name: None if name == "cryptography" else found(name),
    )
    with pytest.raises(BadSetting, match=r"pip install 'unspool\[encryption\]'"):
        payloads_of({KEYS_VARIABLE: str(file)})
