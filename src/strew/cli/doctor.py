"""`strew doctor`: can this machine take part, and is it really sharing?"""

import sys
from dataclasses import asdict
from itertools import chain

from strew.cli.call import command_app
from strew.cli.checkup import examine
from strew.cli.flags import (
    AgentFlags,
    ClientFlags,
    ConfigFlags,
    FollowFlags,
    MemberFlags,
    StoreFlags,
    configuration,
)
from strew.cli.output import Output, wants_colour
from strew.cli.reaching import reaching
from strew.cli.sharing import sharing

app = command_app(
    "doctor",
    "Check whether this machine can take part, have those named by --join dial it back, and, if a "
    "node runs here, look whether it really shares; say what to do if not.",
)

_MARKS = {"ok": "ok", "warning": "warn", "failed": "FAIL"}
_COLOURS = {"ok": "\x1b[32m", "warning": "\x1b[33m", "failed": "\x1b[31m"}
_PLAIN = "\x1b[0m"

EXIT_FAILED = 1


@app.default
def doctor(
    *,
    file: ConfigFlags = ConfigFlags(),
    client: ClientFlags = ClientFlags(),
    member: MemberFlags = MemberFlags(),
    follow: FollowFlags = FollowFlags(),
    store: StoreFlags = StoreFlags(),
    agent: AgentFlags = AgentFlags(),
    out: Output = Output(),
) -> int:
    """Check what a node needs, and what a running one does; exit code 1 if something is broken."""
    settings = configuration("node", file, client, member, follow, store, agent).settings
    colour = wants_colour(sys.stdout)
    findings = []
    for finding in chain(examine(settings), reaching(settings), sharing(settings)):
        findings.append(finding)
        out.event("finding", **asdict(finding))
        mark = f"{_MARKS[finding.level]:<6}"
        if colour:
            mark = f"{_COLOURS[finding.level]}{mark}{_PLAIN}"
        remedy = f"  ({finding.remedy})" if finding.remedy else ""
        out.line(f"{mark}{finding.check:<12}{finding.detail}{remedy}")
    failed = sum(finding.level == "failed" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    out.result(
        able=not failed, failed=failed, warnings=warnings, findings=[asdict(f) for f in findings]
    )
    return EXIT_FAILED if failed else 0
