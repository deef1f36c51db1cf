"""Names that a tracker signs, and those signed elsewhere and handed in."""

import time

import msgspec
import pytest

from strew.announce.naming import AHEAD_MAX_S
from strew.content.digest import ArtifactId
from strew.content.reference import Name
from strew.errors import DeniedError, ProtocolError, StrewError, UnavailableError, UsageError
from strew.publication import Publication, Signature
from strew.tracker.reports import PublishRequest
from strew.trust import dsse
from strew.trust.keys import SigningKey
from strew.trust.policy import Anchor, Trust
from strew.trust.signing import Signatory
from tests.announce.makers import announce
from tests.tracker.served import Served, served
from tests.tracker.test_service import APP, whole
from tests.trust.makers import ALICE, BOB, MALLORY, YEAR_S

NAME = Name("app", "v1")
ALICES = Signatory((ALICE,), YEAR_S)


class Office:
    """A tracker's notary in memory: signs as Bob, and believes Alice as well."""

    def __init__(self) -> None:
        self.signatory = Signatory((BOB,), YEAR_S)
        self.kept: dict[ArtifactId, tuple[Signature, ...]] = {}
        self._trust = Trust([Anchor(ALICE.public, "app:*")], own=[BOB.public])

    def admits(self, publication: Publication) -> bool:
        return self._trust.admits(publication)

    def witness(
        self, artifact: ArtifactId, manifest: bytes, signatures: tuple[Signature, ...] = ()
    ) -> None:
        self.kept[artifact] = signatures or self.signatory.sign_manifest(manifest)


async def ready(on: Served) -> None:
    await on.client.put_manifest(APP.id, APP.raw)
    await on.client.announce(announce(1, whole(origin=True), follows=("app:*",)))


def signers(told: Publication) -> list[str]:
    return [signature.key for signature in told.signatures]


async def test_a_name_that_is_asked_for_is_signed_by_the_tracker_and_so_is_the_manifest() -> None:
    office = Office()
    async with served(notary=office) as on:
        await ready(on)
        told = await on.client.publish(NAME, APP.id)
        assert signers(told) == [BOB.public.id] and office.admits(told)
        assert await on.client.publish(NAME, APP.id) == told
        (signature,) = office.kept[APP.id]
        assert dsse.holds(signature, BOB.public, dsse.MANIFEST_TYPE, APP.raw)
        heard = await on.client.announce(announce(2, follows=("app:*",)))
        assert heard.publications == (told,)


async def test_a_draft_is_what_would_be_given_and_changes_nothing() -> None:
    async with served(notary=Office()) as on:
        await ready(on)
        draft = await on.client.draft(NAME, APP.id)
        assert (draft.reference, draft.artifact, draft.name) == ("app:v1", APP.id, APP.name)
        assert draft.signatures == () and await on.client.names() == []


async def test_a_record_that_is_handed_in_is_taken_as_it_is() -> None:
    office = Office()
    async with served(notary=office) as on:
        await ready(on)
        record = ALICES.sign(await on.client.draft(NAME, APP.id), time.time())
        by = ALICES.sign_manifest(APP.raw)
        assert await on.client.hand_in(NAME, record, by) == record
        assert await on.client.resolve(NAME) == record
        assert office.kept[APP.id] == by
        assert await on.client.hand_in(NAME, record, by) == record, "once more is no harm"
        heard = await on.client.announce(announce(2, follows=("app:*",)))
        assert heard.publications == (record,)


def renamed(told: Publication, **change: object) -> Publication:
    return msgspec.structs.replace(told, **change)


NOW_MS = int(time.time() * 1000)


@pytest.mark.parametrize(
    ("change", "by", "error", "says"),
    [
        ({}, MALLORY, DeniedError, "no signature by a key that is trusted"),
        ({"reference": "web:v1"}, ALICE, UsageError, "the record names web:v1"),
        ({"artifact": "blake3:" + "0" * 64}, ALICE, UsageError, "the record names"),
        ({"size_bytes": 7}, ALICE, ProtocolError, "other sizes"),
        ({"name": "other"}, ALICE, ProtocolError, "other sizes"),
        ({"version": 1}, ALICE, UnavailableError, "is not above"),
        (
            {"version": NOW_MS + int((AHEAD_MAX_S + 3600) * 1000)},
            ALICE,
            ProtocolError,
            "more than a day ahead",
        ),
    ],
    ids=["foreign key", "other name", "other artifact", "size", "file", "old", "far ahead"],
)
async def test_a_record_that_does_not_fit_is_refused_and_changes_nothing(
    change: dict[str, object], by: SigningKey, error: type[StrewError], says: str
) -> None:
    async with served(notary=Office()) as on:
        await ready(on)
        known = await on.client.publish(Name("app", "before"), APP.id)
        draft = await on.client.draft(NAME, APP.id)
        record = Signatory((by,), YEAR_S).sign(renamed(draft, **change), time.time())
        with pytest.raises(error, match=says):
            await on.client._publish(NAME, PublishRequest(draft.artifact, record=record))
        assert await on.client.names() == [known]


async def test_a_record_changed_on_its_way_is_refused() -> None:
    async with served(notary=Office()) as on:
        await ready(on)
        record = ALICES.sign(await on.client.draft(NAME, APP.id), time.time())
        with pytest.raises(DeniedError):
            await on.client.hand_in(NAME, renamed(record, version=record.version + 1), ())
        assert await on.client.names() == []


async def test_a_tracker_without_keys_takes_no_records() -> None:
    async with served() as on:
        await ready(on)
        record = ALICES.sign(await on.client.draft(NAME, APP.id), time.time())
        with pytest.raises(DeniedError):
            await on.client.hand_in(NAME, record, ())


async def test_a_name_signed_by_another_is_signed_anew_when_it_is_asked_for_here() -> None:
    """Thus a key is replaced: what is pushed again gets the new one, in a new version."""
    async with served(notary=Office()) as on:
        await ready(on)
        record = ALICES.sign(await on.client.draft(NAME, APP.id), time.time())
        await on.client.hand_in(NAME, record, ())
        told = await on.client.publish(NAME, APP.id)
        assert signers(told) == [BOB.public.id] and told.version > record.version
