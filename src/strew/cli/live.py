"""How a transfer is shown in text: the whole of it at one moment, in 80 columns.

    app:2.1  4.66 GiB in 1000 chunks, to 1000 machines                        0:23
    ██████████████████████████▎····························  47.3 %  ETA 0:22
    478 done, 520 fetching, 2 paused
    fleet 117 GiB/s ▂▅▇█   origin 119 MiB/s, 1.02 × file   from peers 99.8 %
    bound 41.9 s at 119 MiB/s (measured), heading for 43.0 s: 1.03 × the bound
    rarest chunk: 1 copy, as of 73 chunks from 927 on

Then the zones, and those who lag, each with its cause and what is done about it. In a log the same
is one line.
"""

from strew.agent import quantity
from strew.cli.painting import Line, Span, Style, bar, columns_of, padded, plain, sparkline
from strew.telemetry.view import MachineRow, Progress
from strew.telemetry.watched import Watched

STRAGGLERS_MAX = 8
"""Shown with their causes, two lines each; `strew status` and the dashboard show all."""

ZONES_MAX = 6
HEAD_LINES = 6
SPARK_COLUMNS = 12

NAMED_MAX = 3
"""Stragglers in the one line of a log."""

TWICE_SHOWN = 0.01
"""From this share of duplicates on they are told; some are the price of the last chunks."""

BAR_RESERVE = 26
"""Columns beside the bar: percentage and ETA."""

_GRAVE: dict[str, int] = {"failed": 0, "ended": 1, "cut-off": 1, "stalled": 1, "paused": 2}
"""What a person must look at comes first; then whoever is least far."""

NO_LAG = frozenset(("", "starting"))
"""Causes of machines that are not behind."""


def duration(seconds: float) -> str:
    """A time as told by another process, which may tell anything."""
    return quantity.format_duration(max(0.0, seconds))


def rate(bytes_per_s: float) -> str:
    """A rate as told by another process."""
    return quantity.format_rate(max(0.0, bytes_per_s))


def size(count_bytes: int) -> str:
    """A size as told by another process."""
    return quantity.format_size(max(0, count_bytes))


def stragglers(watched: Watched) -> list[MachineRow]:
    """Machines that lag or that something is wrong with, the worst first."""
    found = [
        row
        for row in watched.machines
        if not row.is_origin
        and row.state not in ("seeding", "gone")
        and (row.cause not in NO_LAG or row.state in ("failed", "paused"))
    ]
    found.sort(key=lambda row: (_GRAVE.get(row.cause or row.state, 9), row.have_chunks, row.host))
    return found


def share_done(progress: Progress) -> float:
    """How much of all bytes to be had is there, 0 to 1."""
    if progress.total_bytes:
        return min(1.0, progress.done_bytes / progress.total_bytes)
    return 1.0 if progress.over or not progress.total else progress.done / progress.total


# --- a block -------------------------------------------------------------------------------------


def block(watched: Watched, shown: str, columns: int, lines_max: int) -> list[Line]:
    """The lines of a terminal of this size."""
    lines = figures(watched, shown, columns)
    lag = stragglers(watched)[:STRAGGLERS_MAX]
    zones = _zones(watched, columns)
    left = lines_max - len(lines)
    needed = 2 + 2 * len(lag) if lag else 0
    if zones and left - len(zones) - 1 >= needed:
        lines += [(), *zones]
        left -= len(zones) + 1
    each = 3 if left >= 2 + 3 * len(lag) else 2
    room = min(len(lag), max(0, (left - 2) // each))
    if room:
        lines += [(), *_lagging(watched, room, each, columns)]
    return lines[:lines_max]


def figures(watched: Watched, shown: str, columns: int) -> list[Line]:
    """The transfer in numbers: name, bar, counts, rates, bound, rarest chunk."""
    return [*_head(watched, shown, columns), *_figures(watched)]


def _head(watched: Watched, shown: str, columns: int) -> list[Line]:
    progress = watched.progress
    machines = f"{progress.total} machine{'' if progress.total == 1 else 's'}"
    what = (
        f"  {size(watched.size_bytes)} in {watched.chunk_count} "
        f"chunk{'' if watched.chunk_count == 1 else 's'}, to {machines}"
    )
    clock = f"  {duration(watched.now_s)}" if watched.now_s >= 0.0 else ""
    name_columns = max(8, columns - len(what) - len(clock))
    name = padded(shown, min(name_columns, columns_of(shown)))
    gap = " " * max(0, columns - columns_of(name) - len(what) - len(clock))
    head: Line = ((name, "bold"), (what, ""), (gap + clock, "dim"))
    ratio = share_done(progress)
    style: Style = "bad" if progress.failed else "warn" if progress.paused else "good"
    after = f"  {100 * ratio:5.1f} %"
    if progress.over:
        after += "  done" if not progress.failed else "  ended"
    elif progress.eta_s is not None:
        after += f"  ETA {duration(progress.eta_s)}"
    width = max(10, columns - BAR_RESERVE)
    return [head, (*bar(ratio, width, style), (after, ""))]


def _figures(watched: Watched) -> list[Line]:
    progress = watched.progress
    lines: list[Line] = [_counts(progress), _rates(watched)]
    bound = _bound(watched)
    if bound:
        lines.append(bound)
    rarest = progress.rarest
    if rarest is not None and not progress.over:
        copies = "no copy" if not rarest.copies else f"{rarest.copies} cop{_ies(rarest.copies)}"
        such = "" if rarest.chunks == 1 else f", as of {rarest.chunks} chunks"
        text = f"rarest chunk: {copies}{such}, the first is {rarest.first}"
        lines.append(((text, "bad" if not rarest.copies else "dim"),))
    return lines


def _ies(count: int) -> str:
    return "y" if count == 1 else "ies"


def _counts(progress: Progress) -> Line:
    spans: list[Span] = [(f"{progress.done} done", "good" if progress.done else "")]
    words: tuple[tuple[int, str, Style], ...] = (
        (progress.fetching, "fetching", ""),
        (progress.waiting, "waiting", "dim"),
        (progress.paused, "paused", "warn"),
        (progress.failed, "failed", "bad"),
    )
    for count, word, style in words:
        if count:
            spans += [(", ", ""), (f"{count} {word}", style)]
    if progress.duplicate_ratio >= TWICE_SHOWN:
        spans.append((f"   {100 * progress.duplicate_ratio:.1f} % came twice", "dim"))
    return spans


def _rates(watched: Watched) -> Line:
    progress = watched.progress
    spans: list[Span] = [(f"fleet {rate(progress.rate_bytes_per_s)}", "bold")]
    spark = sparkline(watched.rates.fleet, SPARK_COLUMNS)
    if spark:
        spans.append((f" {spark}", "accent"))
    spans.append(
        (
            f"   origin {rate(progress.origin_rate_bytes_per_s)}, "
            f"{progress.origin_sent_ratio:.2f} × file   peers {100 * progress.peer_share:.1f} %",
            "",
        )
    )
    return spans


def _bound(watched: Watched) -> Line:
    """How the time compares with what no schedule beats; empty where no link's rate is known."""
    progress = watched.progress
    bound_s = progress.bound_seconds
    if bound_s is None or bound_s <= 0.0:
        return ()
    link = ""
    if progress.link_bytes_per_s is not None:
        of = {"rate": "configured", "measured": "measured"}.get(progress.link_from, "")
        link = f" at {rate(progress.link_bytes_per_s)}" + (f" ({of})" if of else "")
    text = f"bound {duration(bound_s)}{link}"
    if progress.over and progress.ratio_end is not None:
        ended_s = progress.ratio_end * bound_s
        text += f", it took {duration(ended_s)}: {progress.ratio_end:.2f} × the bound"
    elif progress.ratio_now is not None:
        heading_s = progress.ratio_now * bound_s
        text += f", heading for {duration(heading_s)}: {progress.ratio_now:.2f} ×"
    return ((text, "dim"),)


def _zones(watched: Watched, columns: int) -> list[Line]:
    """A bar for each zone, where there are several, in a place that does not change from one
    picture to the next; of too many, those that are least far."""
    if len(watched.zones) < 2:
        return []
    sums: dict[int, list[float]] = {}
    for row in watched.machines:
        if row.is_origin or row.state == "gone":
            continue
        of = sums.setdefault(row.zone_index, [0, 0, 0, 0.0])
        of[0] += 1
        of[1] += row.state == "seeding"
        of[2] += row.have_chunks
        of[3] += row.received_bytes_per_s
    chunk_count = max(1, watched.chunk_count)
    parts = sorted(sums.items(), key=lambda item: (item[1][2] / item[1][0], item[0]))
    lines: list[Line] = []
    for number, (total, done, have, bytes_per_s) in sorted(parts[:ZONES_MAX]):
        ratio = have / (total * chunk_count)
        name = watched.zones[number] if 0 <= number < len(watched.zones) else ""
        lines.append(
            (
                (padded(plain(name) or "no zone", 14), ""),
                (padded(f"{done:.0f} of {total:.0f}", 13, right=True) + "  ", ""),
                *bar(ratio, max(10, columns - 52)),
                (f"  {100 * ratio:5.1f} %  {rate(bytes_per_s)}", ""),
            )
        )
    if len(parts) > ZONES_MAX:
        lines.append(((f"… and {len(parts) - ZONES_MAX} zones more", "dim"),))
    return lines


def _lagging(watched: Watched, room: int, each: int, columns: int) -> list[Line]:
    """So many of those behind, in two or three lines each: who and how far; why, and what is done
    about it."""
    lag = stragglers(watched)
    head: list[Span] = [(f"{len(lag)} lag{'s' if len(lag) == 1 else ''} behind", "bold")]
    if len(lag) > room:
        head.append((f", the worst {room} are" if room > 1 else ", the worst is", "dim"))
    lines: list[Line] = [head]
    for row in lag[:room]:
        ratio = row.have_chunks / max(1, watched.chunk_count)
        lines.append(
            (
                (padded(where_of(watched, row), max(20, columns - 48)), ""),
                (f"  {100 * ratio:5.1f} %", ""),
                (padded(rate(row.received_bytes_per_s), 13, right=True) + "  ", "dim"),
                (padded(word_of(row), 20), _style_of(row)),
            )
        )
        if each == 3 and row.why and row.remedy:
            lines += [((f"  {plain(row.why)}", ""),), ((f"  → {plain(row.remedy)}", "dim"),)]
        else:
            lines.append((("  " + reason_of(row), "dim"),))
    return lines


def where_of(watched: Watched, row: MachineRow) -> str:
    """A machine's address and zone."""
    return f"{plain(row.host)}:{row.port}  {plain(watched.zone_of(row))}".rstrip()


def word_of(row: MachineRow) -> str:
    """A machine's cause in a word, and for how long nothing was heard of it."""
    word = (row.cause or row.state).replace("-", " ")
    return f"{word} {duration(row.silent_s)}" if row.cause in _SILENT else word


_SILENT = frozenset(("stalled", "cut-off", "ended"))


def _style_of(row: MachineRow) -> Style:
    return "bad" if _GRAVE.get(row.cause or row.state, 9) < 2 else "warn"


def reason_of(row: MachineRow) -> str:
    """Why it lags, and what is done about it, in one line."""
    return "; ".join(plain(text) for text in (row.why, row.remedy) if text) or "no reason is known"


# --- a line --------------------------------------------------------------------------------------


def line(watched: Watched, shown: str) -> Line:
    """The same for a log."""
    progress = watched.progress
    parts = [
        shown,
        f"{100 * share_done(progress):.1f} %",
        f"{progress.done} of {progress.total} nodes",
    ]
    for count, word in ((progress.paused, "paused"), (progress.failed, "failed")):
        if count:
            parts.append(f"{count} {word}")
    if progress.over:
        known = len(watched.times_s) == progress.done > 0  # or the last is yet to be told
        parts.append(f"over after {duration(watched.times_s[-1])}" if known else "over")
        if progress.ratio_end is not None:
            parts.append(f"{progress.ratio_end:.2f} x bound")
    else:
        parts.append(rate(progress.rate_bytes_per_s))
        if progress.eta_s is not None:
            parts.append(f"ETA {duration(progress.eta_s)}")
    parts.append(f"origin {progress.origin_sent_ratio:.2f} x file")
    parts.append(f"peers {100 * progress.peer_share:.1f} %")
    lag = stragglers(watched)
    if lag:
        named = ", ".join(f"{plain(row.host)}:{row.port} {word_of(row)}" for row in lag[:NAMED_MAX])
        more = f" and {len(lag) - NAMED_MAX} more" if len(lag) > NAMED_MAX else ""
        parts.append(f"behind: {named}{more}")
    return (("  ".join(parts), ""),)
