"""`strew key`: keys that sign names, whose names are believed here; and certificates."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from strew.agent.anchors import Policy, TrustFile, parse_anchor
from strew.agent.keyfile import PUBLISHER_FILE, new_signing_key, read_public_key, read_signing_key
from strew.cli.call import command_app
from strew.cli.certificates import add_commands
from strew.cli.flags import ConfigFlags, DataFlags, configuration
from strew.cli.output import Output, table
from strew.errors import ConfigurationError
from strew.trust.keys import KeyId, PublicKey, is_key_id
from strew.trust.policy import EVERY_NAME, Anchor

app = command_app(
    "key",
    "Make keys that sign what is published, and say whose names are believed. Make a small CA and "
    "the certificates of profile strict.\n\n"
    "'trust' and 'revoke' write into the data folder of a node or of 'strew serve' (--data DIR); "
    "the process that runs there goes by it within 2 s.",
)

add_commands(app)

KeyArgument = Annotated[
    str, Parameter(help="A public key (ed25519:...), or a file with a public or private one.")
]


@app.command
def new(
    file: Annotated[Path, Parameter(help="Where to keep the private key; must not exist.")],
    /,
    *,
    out: Output = Output(),
) -> None:
    """Make a key to sign with; prints its public half, which others trust."""
    key = new_signing_key(file)
    out.line(key.public.text)
    out.note(f"private key in {str(file)!r}, for 'strew push --sign-with'; keep a copy of it safe")
    out.result(file=str(file), **_facts(key.public))


@app.command
def show(
    key: Annotated[
        str | None, Parameter(help="A key or a file; without, whom the data folder trusts.")
    ] = None,
    /,
    *,
    data: DataFlags = DataFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> None:
    """Show a public key and its id, or whom a data folder trusts."""
    if key is not None:
        public = read_public_key(key)
        for line in table([("key", public.text), ("id", public.id)]):
            out.line(line)
        out.result(**_facts(public))
        return
    folder = _folder(data, file)
    policy = TrustFile(folder).read()
    own = _own(folder)
    for line in table([("KEY", "ID", "FOR"), *_rows(policy, own)]):
        out.line(line)
    if not policy.anchors and own is None:
        out.note("nobody is trusted by name: settings may name keys, or any member is believed")
    out.result(
        data=str(folder),
        own=_facts(own) if own is not None else None,
        trusted=[_anchor_facts(anchor, policy) for anchor in policy.anchors],
        revoked=list(policy.revoked),
    )


@app.command
def trust(
    key: Annotated[
        str, Parameter(help="KEY or KEY=PATTERN, such as ed25519:...='app:*'; KEY may be a file.")
    ],
    /,
    *,
    data: DataFlags = DataFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> None:
    """Believe the names that a key signs, all or those that match a pattern."""
    anchor = _anchor(key)
    folder = _folder(data, file)
    policy = TrustFile(folder).change(lambda policy: policy.trusting(anchor))
    meant = "every name" if anchor.pattern == EVERY_NAME else anchor.pattern
    out.line(f"{folder}: {anchor.key.id} is trusted for {meant}")
    out.result(data=str(folder), **_anchor_facts(anchor, policy))


@app.command
def revoke(
    key: Annotated[str, Parameter(help="A public key, a file, or a key's id of 16 hex digits.")],
    /,
    *,
    data: DataFlags = DataFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> None:
    """Believe a key no more, whoever trusts it: what is being fetched by its names alone is left.
    What is in place stays."""
    revoked = KeyId(key) if is_key_id(key) else read_public_key(key).id
    folder = _folder(data, file)
    policy = TrustFile(folder).change(lambda policy: policy.revoking(revoked))
    out.line(f"{folder}: {revoked} is revoked")
    if policy.anchors and all(anchor.key.id in policy.revoked for anchor in policy.anchors):
        out.warn("all keys that this folder trusted are revoked: trust the new one")
    out.result(data=str(folder), id=revoked)


def _anchor(text: str) -> Anchor:
    """KEY or KEY=PATTERN, where KEY may be a file, too."""
    if text.startswith("ed25519:"):
        return parse_anchor(text)
    name, equals, pattern = text.rpartition("=")
    if equals and not Path(text).exists():
        return parse_anchor(f"{read_public_key(name).text}={pattern}")
    return Anchor(read_public_key(text))


def _folder(data: DataFlags, file: ConfigFlags) -> Path:
    return configuration("node", file, data).settings.data_folder


def _own(folder: Path) -> PublicKey | None:
    """The key that `strew serve` made there."""
    path = folder / PUBLISHER_FILE
    try:
        return read_signing_key(path).public if path.exists() else None
    except (ConfigurationError, OSError):
        return None


def _rows(policy: Policy, own: PublicKey | None) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    if own is not None:
        rows.append((own.text, own.id, "its own"))
    rows += [(of.key.text, of.key.id, _meant(of, policy)) for of in policy.anchors]
    known = {of.key.id for of in policy.anchors}
    return rows + [("-", key, "revoked") for key in policy.revoked if key not in known]


def _meant(anchor: Anchor, policy: Policy) -> str:
    return "revoked" if anchor.key.id in policy.revoked else anchor.pattern


def _facts(key: PublicKey) -> dict[str, Any]:
    return {"key": key.text, "id": key.id}


def _anchor_facts(anchor: Anchor, policy: Policy) -> dict[str, Any]:
    return {
        **_facts(anchor.key),
        "pattern": anchor.pattern,
        "revoked": anchor.key.id in policy.revoked,
    }
