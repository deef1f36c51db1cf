"""The event feed's queues and ring."""

from strew.tracker import feed as feed_module
from strew.tracker.feed import KINDS, QUEUE_EVENTS_MAX, Feed

ALL = frozenset(KINDS)


async def test_ids_grow_even_if_time_does_not() -> None:
    feed = Feed()
    assert feed.publish("swarm", b"{}", 5.0) == 5000
    assert feed.publish("swarm", b"{}", 5.0) == 5001
    assert feed.publish("swarm", b"{}", 1.0) == 5002


async def test_a_subscriber_gets_what_it_asked_for() -> None:
    feed = Feed()
    with feed.subscribed(frozenset(("publication",)), None) as subscriber:
        assert feed.wanted("publication") and not feed.wanted("swarm")
        feed.publish("swarm", b"{}", 1.0)
        feed.publish("publication", b'{"a":1}', 1.0)
        frames = subscriber.frames()
        assert b"event: open" in await anext(frames)
        assert await anext(frames) == b'id: 1001\nevent: publication\ndata: {"a":1}\n\n'
    assert len(feed) == 0


async def test_a_slow_subscriber_is_ended_and_does_not_grow() -> None:
    feed = Feed()
    with feed.subscribed(ALL, None) as subscriber:
        for _ in range(QUEUE_EVENTS_MAX + 10):
            feed.publish("swarm", b"{}", 1.0)
        frames = [frame async for frame in subscriber.frames()]
        assert len(frames) == 1


async def test_returning_gets_what_was_missed() -> None:
    feed = Feed()
    first = feed.publish("swarm", b"1", 1.0)
    feed.publish("publication", b"2", 1.0)
    feed.publish("swarm", b"3", 1.0)
    with feed.subscribed(frozenset(("swarm",)), first) as subscriber:
        feed.close()
        frames = [frame async for frame in subscriber.frames()]
    assert b'"resumed":true' in frames[0]
    assert [b"data: 3" in frame for frame in frames[1:]] == [True]


async def test_an_id_the_ring_has_lost_is_not_resumed() -> None:
    feed = Feed()
    first = feed.publish("swarm", b"1", 1.0)
    for _ in range(feed_module.RING_EVENTS_MAX):
        feed.publish("swarm", b"2", 1.0)
    for lost in (first, 7, 10**18):
        with feed.subscribed(ALL, lost) as subscriber:
            assert b'"resumed":false' in await anext(subscriber.frames())


async def test_silence_is_filled_with_heartbeats(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(feed_module, "HEARTBEAT_S", 0.01)
    feed = Feed()
    with feed.subscribed(ALL, None) as subscriber:
        frames = subscriber.frames()
        await anext(frames)
        assert (await anext(frames)).startswith(b":")


async def test_a_closed_feed_takes_nobody() -> None:
    feed = Feed()
    assert not feed.full
    feed.close()
    assert feed.full


ONE, OTHER = "one", "other"
BOARDS = frozenset(("board",))


async def test_a_subscriber_of_one_artifact_hears_of_no_other_but_of_all_names() -> None:
    feed = Feed()
    with feed.subscribed(ALL, None, ONE) as subscriber:
        assert feed.wanted("board", ONE) and not feed.wanted("board", OTHER)
        feed.publish("board", b"1", 1.0, OTHER)
        feed.publish("swarm", b"2", 1.0, OTHER)
        feed.publish("publication", b"3", 1.0)
        feed.publish("board", b"4", 1.0, ONE)
        frames = subscriber.frames()
        await anext(frames)
        told = [await anext(frames), await anext(frames)]
    assert [frame.split(b"data: ")[1] for frame in told] == [b"3\n\n", b"4\n\n"]


async def test_a_busy_board_pushes_no_name_out_of_the_past() -> None:
    feed = Feed()
    first = feed.publish("publication", b"1", 1.0)
    feed.publish("publication", b"2", 1.0)
    for _ in range(feed_module.RING_EVENTS_MAX):
        feed.publish("board", b"3", 1.0, ONE)
    with feed.subscribed(frozenset(("publication",)), first) as subscriber:
        frames = subscriber.frames()
        assert b'"resumed":true' in await anext(frames)
        assert b"data: 2" in await anext(frames)


async def test_a_board_is_gone_on_from_as_long_as_all_of_it_is_kept() -> None:
    feed = Feed()
    ids = [feed.publish("board", b"%d" % n, 1.0, ONE) for n in range(feed_module.BOARD_EVENTS_MAX)]
    feed.publish("board", b"x", 1.0, OTHER)
    with feed.subscribed(BOARDS, ids[0], ONE) as subscriber:
        feed.close()
        frames = [frame async for frame in subscriber.frames()]
    assert b'"resumed":true' in frames[0] and len(frames) == len(ids)

    feed = Feed()
    ids = [feed.publish("board", b"1", 1.0, ONE) for _ in range(feed_module.BOARD_EVENTS_MAX + 1)]
    with feed.subscribed(BOARDS, ids[0], ONE) as subscriber:
        assert b'"resumed":false' in await anext(subscriber.frames())


async def test_after_a_board_was_renewed_nobody_goes_on_from_before() -> None:
    feed = Feed()
    before = feed.publish("board", b"1", 1.0, ONE)
    after = feed.renew(ONE, 1.0)
    assert after > before and feed.mark(1.0) == after
    for event_id, resumed in ((before, b"false"), (after, b"true")):
        with feed.subscribed(BOARDS, event_id, ONE) as subscriber:
            assert b'"resumed":' + resumed in await anext(subscriber.frames())
    feed.publish("board", b"2", 1.0, OTHER)
    with feed.subscribed(BOARDS, after, ONE) as subscriber:
        assert b'"resumed":true' in await anext(subscriber.frames())


async def test_boards_with_a_past_are_bounded() -> None:
    feed = Feed()
    first = feed.publish("board", b"0", 1.0, ONE)
    for number in range(feed_module.BOARDS_MAX):
        feed.publish("board", b"1", 1.0, str(number))
    with feed.subscribed(BOARDS, first, ONE) as subscriber:
        assert b'"resumed":false' in await anext(subscriber.frames())
