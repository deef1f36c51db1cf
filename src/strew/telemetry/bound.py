"""The least time in which a fleet with equal links can have a file."""


def equal_links_s(line_s: float, machines: int, chunks: int) -> float:
    """T* = F/B (1 + floor(log2 N)/M), where one machine alone takes F/B = `line_s`. No machines or
    no chunks count as one.

    Mundinger, Weber, Weiss: Optimal scheduling of peer-to-peer file dissemination, Journal of
    Scheduling 11, 2008 (arXiv cs/0606110).
    """
    return line_s * (1 + (max(1, machines).bit_length() - 1) / max(1, chunks))
