"""`strew key`: what it prints, writes and refuses."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.cli.processes import Done, call, environment
from tests.trust.makers import ALICE, BOB

TEXT = ALICE.public.text


class Desk:
    """A machine with a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = environment(folder / "home")

    def call(self, *words: str) -> Done:
        return call("key", *words, "--json", env=self.env, cwd=self.folder)

    def result(self, *words: str) -> dict[str, Any]:
        done = self.call(*words)
        assert done.code == 0, done.out
        return done.final

    def error(self, *words: str) -> tuple[int, str]:
        done = self.call(*words)
        assert done.final["type"] == "error" and done.final["hint"]
        return done.code, done.final["message"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_new_key_is_a_file_for_its_owner_and_a_text_for_others(desk: Desk) -> None:
    made = desk.result("new", "mine.key")
    assert made["key"].startswith("ed25519:") and len(made["id"]) == 16
    assert stat.S_IMODE((desk.folder / "mine.key").stat().st_mode) == 0o600
    assert desk.result("show", "mine.key") | {"file": "mine.key"} == made
    assert desk.result("show", made["key"])["id"] == made["id"]
    assert desk.error("new", "mine.key") == (2, "'mine.key' exists")


def test_trust_and_revocation_are_written_into_a_data_folder(desk: Desk) -> None:
    node = ("--data", "node")
    desk.result("new", "mine.key")
    mine = desk.result("show", "mine.key")
    assert desk.result("trust", f"{TEXT}=app:*", *node)["pattern"] == "app:*"
    desk.result("trust", "mine.key", *node)
    desk.result("trust", "mine.key=lib", *node)
    desk.result("revoke", ALICE.public.id, *node)
    shown = desk.result("show", *node)
    assert [(of["id"], of["pattern"], of["revoked"]) for of in shown["trusted"]] == [
        (ALICE.public.id, "app:*", True),
        (mine["id"], "*", False),
        (mine["id"], "lib:*", False),
    ]
    assert shown["revoked"] == [ALICE.public.id] and shown["own"] is None
    desk.result("revoke", "mine.key", *node)
    desk.result("revoke", BOB.public.text, *node)
    assert len(desk.result("show", *node)["revoked"]) == 3
    desk.result("trust", TEXT, *node)
    assert ALICE.public.id not in desk.result("show", *node)["revoked"]
    file = json.loads((desk.folder / "node/trust.json").read_text())
    assert file["form"] == 1 and len(file["trusted"]) == 4


def test_without_a_folder_it_is_that_of_this_machines_node(desk: Desk) -> None:
    desk.result("trust", TEXT)
    assert (desk.folder / "home/.local/share/strew/node/trust.json").is_file()


def test_the_own_key_of_a_serve_is_shown(desk: Desk) -> None:
    made = desk.result("new", "serve/publisher.key")
    assert desk.result("show", "--data", "serve")["own"] == {k: made[k] for k in ("key", "id")}


def test_mistakes_are_told_in_one_line(desk: Desk) -> None:
    (desk.folder / "junk").write_text("junk")
    for words in (("show", "nothing"), ("trust", "junk"), ("revoke", "nothing"), ("trust", "")):
        code, message = desk.error(*words)
        assert code == 2 and "\n" not in message
    assert desk.error("trust", f"{TEXT}=")[0] == 2
    assert desk.error("trust", f"{TEXT}=a:b:c")[0] == 2
    (desk.folder / "bad").mkdir()
    (desk.folder / "bad/trust.json").write_text("{")
    assert desk.error("trust", TEXT, "--data", "bad")[0] == 9


def test_people_see_a_table_and_a_warning_when_nobody_is_left(desk: Desk) -> None:
    for words in (("trust", TEXT), ("revoke", TEXT), ("show",)):
        done = call("key", *words, env=desk.env, cwd=desk.folder)
        assert done.code == 0
    assert f"{TEXT}  {ALICE.public.id}  revoked" in done.out
    again = call("key", "revoke", TEXT, env=desk.env, cwd=desk.folder)
    assert "trust the new one" in again.err
