import socket
from pathlib import Path

import pytest

from leadline.local import ports as module
from leadline.local.ports import LOOPBACK, Ports
from leadline.model.errors import LeadlineError


def test_two_that_begin_at_the_same_port_get_different_ones():
    with Ports("here") as mine, Ports("here") as others:
        taken = [held.take() for held in (mine, others) * 20]
    assert len(set(taken)) == 40
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(taken) < first_ephemeral


def test_a_server_may_come_and_go_on_a_port_that_is_held():
    with Ports("here") as ports, Ports("here") as others:
        port = ports.take()
        for _ in range(2):
            with socket.create_server((LOOPBACK, port)) as server, socket.create_connection((LOOPBACK, port)) as client:
                accepted, _ = server.accept()
                accepted.close()
                client.recv(1)
            assert others.take() != port


def test_a_closed_holder_gives_its_ports_back():
    ports = Ports("here")
    port = ports.take()
    ports.close()
    with Ports("here") as again:
        assert again.take() == port


def test_nothing_is_taken_from_a_server_that_listens():
    with Ports("here") as ports:
        port = ports.take()
    with socket.create_server((LOOPBACK, port)), Ports("here") as ports:
        assert ports.take() == port + 1


def test_a_range_that_is_used_up_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_first_ephemeral", lambda: module._FIRST + 3)
    with Ports("here") as ports:
        assert len({ports.take() for _ in range(3)}) == 3
        with pytest.raises(LeadlineError, match="no free port from 20000 to 20002"):
            ports.take()
