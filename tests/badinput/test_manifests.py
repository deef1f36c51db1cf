"""Manifests that break a rule: refused where they are uploaded, and by whoever is handed one."""

import pytest

from strew.content.digest import artifact_id_of
from strew.content.manifest import MANIFEST_BYTES_MAX, Manifest
from strew.errors import IntegrityError
from tests.badinput import manifests
from tests.badinput.daemons import Daemons
from tests.badinput.test_requests import refused


def test_the_manifest_that_the_others_are_made_from_is_good() -> None:
    assert Manifest.parse(manifests.packed()).size_bytes == len(manifests.CONTENT)


@pytest.mark.parametrize("name", manifests.BROKEN)
def test_a_broken_manifest_is_refused_where_it_is_uploaded(daemons: Daemons, name: str) -> None:
    make, rule = manifests.BROKEN[name]
    raw = make()
    artifact = artifact_id_of(raw)
    with pytest.raises(IntegrityError) as parsed:
        Manifest.parse(raw)
    assert rule in str(parsed.value)
    asked = (
        ("serve", f"/api/v1/artifacts/{artifact}/manifest"),
        ("serve", f"/api/v1/uploads/{artifact}?port=9"),
        ("node", f"/api/v1/uploads/{artifact}?port=9"),
    )
    for at, path in asked:
        if len(raw) > MANIFEST_BYTES_MAX:
            # refused by its length alone, of which the head tells
            head = (
                f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(raw)}\r\n"
                f"Authorization: {daemons.bearer('publish')}\r\n\r\n"
            )
            refused(daemons.say(at, head.encode()), 413)
            continue
        problem = refused(daemons.ask(at, "PUT", path, raw, role="publish"), 422)
        assert problem["code"] == "integrity" and rule in str(problem["detail"])
        refused(daemons.ask(at, "GET", f"/api/v1/artifacts/{artifact}/manifest"), 404)


@pytest.mark.parametrize("at", ["serve", "node"])
def test_a_good_manifest_under_another_id_is_refused(daemons: Daemons, at: str) -> None:
    raw = manifests.packed()
    other = "blake3:" + "0" * 64
    refused(daemons.ask(at, "PUT", f"/api/v1/uploads/{other}?port=9", raw, role="publish"), 400)
    if at == "serve":
        path = f"/api/v1/artifacts/{other}/manifest"
        refused(daemons.ask(at, "PUT", path, raw, role="publish"), 422)
