"""What the HTTP server logs: a client's fault in one line, anything else whole."""

import logging

import pytest
from aiohttp.http_exceptions import BadStatusLine

from strew.tracker.clientfaults import SHOWN_CHARS_MAX, client_faults

LOGGER = "aiohttp.server"


def logged(caplog: pytest.LogCaptureFixture, error: Exception) -> logging.LogRecord:
    with caplog.at_level(logging.DEBUG, logger=LOGGER):
        client_faults.exception("Error handling request from %s", "10.0.0.9", exc_info=error)
    (record,) = caplog.records
    return record


def test_bytes_that_are_no_request_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    record = logged(caplog, BadStatusLine("\x1b[2J\nnot\na request" + "x" * 9000))
    assert (record.levelno, record.exc_info) == (logging.DEBUG, None)
    text = record.getMessage()
    assert text.startswith("no whole request from 10.0.0.9: ")
    assert text.isprintable() and len(text) < 6 * SHOWN_CHARS_MAX


def test_who_leaves_in_the_middle_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    record = logged(caplog, ConnectionResetError("Connection lost"))
    assert (record.levelno, record.exc_info) == (logging.DEBUG, None)


def test_a_fault_of_ours_is_told_whole(caplog: pytest.LogCaptureFixture) -> None:
    fault = ValueError("ours")
    record = logged(caplog, fault)
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None and record.exc_info[1] is fault
