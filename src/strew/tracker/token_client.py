"""The client's end of the routes of who may: for `strew token`, and for a machine that joins.

Failures are those of strew.tracker.client.
"""

import secrets

import aiohttp
import msgspec
from aiohttp import hdrs

from strew.access.joining import (
    NONCE_BYTES,
    ChallengeAnswer,
    ChallengeRequest,
    JoinAnswer,
    Welcome,
    prove,
    unseal,
)
from strew.access.tokens import TokenRole, id_of, verifier_of
from strew.content.reference import Address
from strew.tracker.admission import TokenReport, TokenRequest
from strew.tracker.client import Tls, TrackerClient


class TokenClient(TrackerClient):
    """Speaks as the holder of a token, to the process that made it; without one, to join."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        address: Address,
        token: str = "",
        *,
        tls: Tls | None = None,
    ) -> None:
        super().__init__(session, address, None, token, tls=tls)

    async def tokens(self) -> list[TokenReport]:
        """All tokens of that process, oldest first."""
        return await self._listed("/api/v1/tokens", list[TokenReport])

    async def make(
        self, role: TokenRole, scope: str = "", seconds: float | None = None
    ) -> TokenReport:
        """Have a token made; its text is in the answer, and nowhere else. UsageError."""
        wanted = TokenRequest(role, scope, seconds)
        return self._decoded(await self._posted("/api/v1/tokens", wanted), TokenReport)

    async def revoke(self, token_id: str) -> TokenReport:
        """Make a token good for nothing. NotFoundError."""
        body = await self._asked("DELETE", f"/api/v1/tokens/{token_id}", self._node)
        return self._decoded(body, TokenReport)

    async def join(self, token: str) -> Welcome:
        """Be given the fleet key for a join token. DeniedError if it is not taken, or if whoever
        answers does not hold it."""
        asked = ChallengeRequest(id_of(token), secrets.token_bytes(NONCE_BYTES))
        told = self._decoded(await self._posted("/api/v1/join/challenge", asked), ChallengeAnswer)
        verifier = verifier_of(token)
        said = prove(verifier, asked, told.challenge)
        answer = self._decoded(await self._posted("/api/v1/join", said), JoinAnswer)
        return unseal(verifier, said, answer.sealed)

    async def _posted(self, path: str, body: msgspec.Struct) -> bytes:
        return await self._asked("POST", path, self._node | _TYPED, data=msgspec.json.encode(body))


_TYPED = {hdrs.CONTENT_TYPE: "application/json"}
