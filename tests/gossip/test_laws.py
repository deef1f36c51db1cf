"""What a fleet of gossiping nodes promises, on a virtual network with a printed seed."""

import msgspec
import pytest

from strew.gossip.gossip import Spread
from strew.gossip.membership import MEMBERS_MAX
from strew.gossip.protocol import Member, MemberState, Tidings
from strew.messages import DatagramReceived, Leaving, Tick
from tests.gossip.makers import holder, member, peer_id, publication
from tests.gossip.network import Machine, Network

COUNT = 60
IDLE_BYTES_PER_S_MAX = 1000


@pytest.fixture(params=[1, 2])
def seed(request: pytest.FixtureRequest) -> int:
    print(f"seed {request.param}")
    return int(request.param)


def deaths(machine: Machine, number: int) -> list[float]:
    """When `machine` was told that `number` is dead."""
    return [at_s for at_s, peer, _ in machine.gone if peer == peer_id(number)]


def test_a_publication_reaches_everybody_within_a_second(seed: int) -> None:
    network = Network(COUNT, seed, loss=0.05)
    network.run(5.0)
    network.do(network.machines[3], Spread(publication(), (holder(3),)))
    network.run(1.0)
    others = [machine for machine in network.machines if machine.number != 3]
    assert all(len(machine.named) == 1 for machine in others)
    assert network.machines[3].named == []
    late_s = sorted(machine.named[0][0] - 5.0 for machine in others)
    assert late_s[len(late_s) // 2] < 0.02


def test_lost_datagrams_kill_nobody_and_idle_traffic_stays_small(seed: int) -> None:
    network = Network(COUNT, seed, loss=0.05)
    network.run(180.0)
    assert [machine.gone for machine in network.machines] == [[]] * COUNT
    per_node = network.measured_bytes / COUNT / 180.0
    assert per_node + network.exchange_bytes / COUNT / 180.0 < IDLE_BYTES_PER_S_MAX


def test_a_killed_node_is_known_dead_by_all_within_15_seconds(seed: int) -> None:
    network = Network(COUNT, seed, loss=0.05)
    network.run(5.0)
    network.machines[7].up = False
    network.run(15.0)
    others = network.up()
    assert all(len(deaths(machine, 7)) == 1 for machine in others)
    assert all(len(machine.gone) == 1 for machine in others)


@pytest.mark.parametrize("unlucky", [33, 47, 74, 149, 186, 230, 267])
def test_rumours_are_not_spent_on_the_dead(unlucky: int) -> None:
    """One more dies in a fleet of five while another's death is not known yet. Of 300 seeds those
    that took longest where rumours counted as told that went to the dead: 13.9 to 29 s, where none
    takes more than 10.5 s now."""
    network = Network(5, unlucky)
    network.run(5.0 + (unlucky % 10) / 10)
    network.machines[1].up = False
    network.run(7 * unlucky % 30 / 10)
    network.machines[0].up = False
    died_s = network.now
    network.run(15.0)
    for machine in network.up():
        assert [at_s < died_s + 11.0 for at_s in deaths(machine, 0)] == [True]


def test_a_restarted_node_returns_with_its_new_incarnation(seed: int) -> None:
    network = Network(COUNT, seed, loss=0.05)
    network.run(5.0)
    network.machines[7].up = False
    network.run(15.0)
    again = network.restart(7)
    network.run(5.0)
    incarnation = again.gossip.me.incarnation
    for machine in network.machines:
        if machine is not again:
            known = machine.gossip.member(peer_id(7))
            assert known is not None and known.state == MemberState.ALIVE
            assert known.incarnation == incarnation
            assert [peer for _, peer in machine.came] == [peer_id(7)]
    assert len(again.gossip.members()) == COUNT - 1


def test_a_node_that_leaves_is_gone_at_once_and_nobody_calls_it_dead(seed: int) -> None:
    network = Network(COUNT, seed, loss=0.05)
    network.run(5.0)
    network.do(network.machines[7], Leaving())
    network.machines[7].up = False
    network.run(2.0)
    for machine in network.up():
        assert [state for _, _, state in machine.gone] == [MemberState.LEFT]


def test_nodes_that_know_but_one_address_find_each_other(seed: int) -> None:
    network = Network(COUNT, seed, loss=0.05, cold=True)
    network.run(12.0)
    assert [len(machine.gossip.members()) for machine in network.machines] == [COUNT - 1] * COUNT


def test_a_cut_network_heals_and_both_halves_learn_what_they_missed(seed: int) -> None:
    network = Network(COUNT, seed)
    network.run(5.0)
    network.sides = {number: number % 2 for number in range(COUNT)}
    network.run(60.0)
    assert {len(machine.gossip.members()) for machine in network.machines} == {COUNT // 2 - 1}
    network.do(network.machines[1], Spread(publication(), (holder(1),)))
    network.run(5.0)
    assert sum(len(machine.named) for machine in network.machines) == COUNT // 2 - 1
    network.sides = {}
    network.run(30.0)
    assert {len(machine.gossip.members()) for machine in network.machines} == {COUNT - 1}
    assert sum(len(machine.named) for machine in network.machines) == COUNT - 1


def test_a_stopped_process_that_goes_on_declares_nobody_dead(seed: int) -> None:
    network = Network(COUNT, seed, loss=0.05)
    network.run(5.0)
    stopped = network.machines[7]
    network.sides = {7: 1}
    stopped.wake_s = 1e9  # no tick reaches it
    network.run(40.0)
    assert all(deaths(machine, 7) for machine in network.machines if machine is not stopped)
    network.sides = {}
    stopped.wake_s = None
    network.do(stopped, Tick())
    network.run(20.0)
    assert stopped.gone == []
    for machine in network.machines:
        assert len(machine.gossip.members()) == COUNT - 1


def test_a_flood_of_invented_members_is_bounded_and_pushes_no_true_one_out() -> None:
    network = Network(8, 1)
    network.run(5.0)
    victim = network.machines[2]
    liar = network.members[5]
    for start in range(0, 100_000, 10):
        invented = tuple(member(1000 + start + offset) for offset in range(10))
        event = DatagramReceived(liar.host, liar.port, Tidings(liar, invented))
        victim.gossip.handle(event, network.now)
    snapshot = victim.gossip.snapshot()
    assert snapshot.living == MEMBERS_MAX
    assert snapshot.refused == 100_000 - (MEMBERS_MAX - 7)
    assert snapshot.rumours <= 2048
    true = {one.id for one in network.members if one.id != victim.gossip.me.id}
    assert true <= {one.id for one in victim.gossip.members()}


def test_a_flood_of_invented_members_hides_no_death_and_delays_no_publication() -> None:
    network = Network(20, 1, loss=0.02)
    network.run(5.0)
    liar = network.members[5]
    for start in range(0, 1000, 10):
        invented = tuple(member(1000 + start + offset) for offset in range(10))
        event = DatagramReceived(liar.host, liar.port, Tidings(liar, invented))
        network.do(network.machines[start // 10 % 4], event)
    network.run(5.0)
    network.machines[7].up = False
    network.do(network.machines[3], Spread(publication(), (holder(3),)))
    network.run(1.0)
    assert all(machine.named for machine in network.up() if machine.number != 3)
    network.run(24.0)
    assert all(deaths(machine, 7) for machine in network.up())
    true = {one.id for one in network.members}
    for machine in network.up():
        assert [peer for _, peer, _ in machine.gone if peer in true] == [peer_id(7)]


def test_an_accuser_cannot_silence_a_member_for_good() -> None:
    network = Network(12, 3)
    network.run(5.0)
    victim = network.members[4]
    lie = Member(
        victim.id,
        victim.host,
        victim.port,
        victim.zone,
        victim.follows,
        (1 << 62) - 1,
        MemberState.DEAD,
        peer_id(5),
    )
    liar = network.members[5]
    near = msgspec.structs.replace(lie, incarnation=victim.incarnation + 50)
    for machine in network.machines:
        for claim in (lie, near):
            event = DatagramReceived(liar.host, liar.port, Tidings(liar, (claim,)))
            network.do(machine, event)
    network.run(10.0)
    for machine in network.machines:
        if machine.number != 4:
            known = machine.gossip.member(victim.id)
            assert known is not None and known.state == MemberState.ALIVE
            assert known.incarnation == victim.incarnation + 51


def test_the_same_seed_gives_the_same_run() -> None:
    first, second = Network(20, 5, loss=0.1), Network(20, 5, loss=0.1)
    first.run(20.0)
    second.run(20.0)
    assert first.datagram_count == second.datagram_count
    assert first.measured_bytes == second.measured_bytes
