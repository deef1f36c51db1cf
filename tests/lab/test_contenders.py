"""Who takes part."""

from strew.lab.contenders import CONTENDERS


def test_every_contender_goes_by_its_own_name() -> None:
    assert next(iter(CONTENDERS)) == "strew"
    assert all(name == entry.name for name, entry in CONTENDERS.items())
    assert CONTENDERS["strew"].missing() is None
    assert [name for name, entry in CONTENDERS.items() if entry.restarts] == ["strew"]
