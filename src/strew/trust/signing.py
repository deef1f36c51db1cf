"""What a process signs with its keys: names, and the manifests of what they name."""

from collections.abc import Sequence

from strew.publication import Publication, Signature
from strew.trust import dsse
from strew.trust.keys import PublicKey, SigningKey
from strew.trust.record import payload_of, signed

RENEWED_BELOW = 0.5
"""A name that is given again to the same artifact is signed anew once less than this part of its
life is left. Higher: more new versions of what did not change; lower: it may expire before anybody
publishes again."""


class Signatory:
    """The keys of one process, all of which sign. `life_s` is for how long names are good."""

    def __init__(self, keys: Sequence[SigningKey], life_s: float) -> None:
        self._keys = tuple(keys)
        self._life_s = life_s

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """By which others check what it signs."""
        return tuple(key.public for key in self._keys)

    def sign(self, publication: Publication, now_s: float) -> Publication:
        """The publication with this process's signatures alone, good from `now_s` (unix time) for
        as long as names are."""
        if not self._keys:
            return publication
        return signed(publication, self._keys, now_s + self._life_s)

    def sign_manifest(self, manifest: bytes) -> tuple[Signature, ...]:
        """Signatures over a manifest's exact bytes, as an envelope carries them."""
        return tuple(dsse.sign(key, dsse.MANIFEST_TYPE, manifest) for key in self._keys)

    def vouches(self, publication: Publication) -> bool:
        """Whether one of these keys signed this. Ed25519 signs the same bytes always alike."""
        payload = payload_of(publication)
        return payload is not None and any(
            dsse.sign(key, dsse.NAME_TYPE, payload) in publication.signatures for key in self._keys
        )

    def stands(self, publication: Publication, now_s: float) -> bool:
        """Whether a name needs no new signature: it bears those of all keys, and has time left."""
        by = {signature.key for signature in publication.signatures}
        left_s = publication.expires_s - now_s if publication.expires_s else self._life_s
        has_time = not self._keys or left_s > RENEWED_BELOW * self._life_s
        return has_time and by >= {key.public.id for key in self._keys}


UNSIGNED = Signatory((), 0.0)
"""Signs nothing: for simulations, and for processes that give no names."""
