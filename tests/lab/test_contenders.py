"""Who takes part."""

from strew.lab.contenders import CONTENDERS, DEFAULT, OURS


def test_every_contender_goes_by_its_own_name() -> None:
    assert next(iter(CONTENDERS)) == "strew"
    assert all(name == entry.name for name, entry in CONTENDERS.items())
    assert CONTENDERS["strew"].missing() is None
    assert [entry for entry in CONTENDERS.values() if entry.restarts] == list(OURS)


def test_all_are_strew_as_usual_and_its_rivals() -> None:
    assert DEFAULT[0] == "strew" and set(CONTENDERS) - set(DEFAULT) == {e.name for e in OURS[1:]}
