"""The declarations of the settings agree with themselves."""

import re

import pytest

from strew.agent.config import load
from strew.agent.knob import Knob
from strew.agent.settings import KEYS, KNOBS, RATE_BOTH, Settings, shown
from strew.errors import UsageError

IDS = [knob.key for knob in KNOBS.values()]


def test_every_field_has_one_knob_and_every_key_one_field() -> None:
    assert tuple(KNOBS) == Settings.__struct_fields__
    assert len(KEYS) == len(KNOBS) + 1
    assert RATE_BOTH.key in KEYS


@pytest.mark.parametrize("knob", KEYS.values(), ids=[*IDS, "rate"])
def test_a_knob_says_what_it_must(knob: Knob) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", knob.key)
    assert re.fullmatch(r"STREW_[A-Z]+(_[A-Z]+)*", knob.variable)
    assert knob.flag == f"--{knob.key}"
    assert knob.about and knob.unit
    if knob.lowest is not None and knob is not RATE_BOTH:
        assert knob.raising and knob.lowering, "what turning it costs"


@pytest.mark.parametrize(("field", "knob"), KNOBS.items(), ids=IDS)
def test_names_of_fields_carry_the_unit(field: str, knob: Knob) -> None:
    endings = {"bytes": "_bytes", "bytes/s": "_bytes_per_s", "s": "_s"}
    assert field == knob.key.replace("-", "_") + endings.get(knob.unit, "")


@pytest.mark.parametrize("knob", [k for k in KNOBS.values() if k.default], ids=lambda k: k.key)
def test_defaults_are_within_their_limits(knob: Knob) -> None:
    knob.read(knob.default)


def test_the_shown_value_is_read_back_as_the_same() -> None:
    given = {"rate-up": "100M", "store-limit": "20G", "join": "a:1,b:2", "chunk-stall": "1m"}
    settings = load(given, environ={}).settings
    again = {
        knob.key: shown(knob, getattr(settings, field)) or None for field, knob in KNOBS.items()
    }
    assert load(again, environ={}).settings == settings


def test_secrets_are_not_shown() -> None:
    assert "00" not in shown(KNOBS["fleet_key"], "00" * 32)


def test_no_value_may_be_endless() -> None:
    with pytest.raises(UsageError, match="longer than 4096"):
        KEYS["zone"].read("x" * 5000)
