"""What a configuration must not say, and in which words it is refused."""

import os
import re
import subprocess

import yaml
from case import scenario
from fabric import dispatch
from fabric.dispatch import service
from lab.lab import program


def refusal(case, services):
    """What `dyncast-controller --check-config` says of these services; its messages without the file's path."""
    lab = case.labs[0] if case.labs else case.lab(dispatch.TOPOLOGY)
    path = lab.path("checked.yaml")
    with open(path, "w", encoding="utf-8") as file:
        yaml.safe_dump(dispatch.fabric(lab, services), file, sort_keys=False)
    done = subprocess.run([program("dyncast-controller"), "--config", path, "--check-config"], capture_output=True,
                          text=True, timeout=30, check=False)
    return done.returncode, (done.stdout + done.stderr).replace(os.path.dirname(path) + "/", "")


@scenario()
def test_bad_configurations_are_refused_in_clear_words(case):
    """Two services with one D-SID and port, stores that cannot hold a key, timeouts that no switch holds, and more."""
    cases = [
        ([service("a", ports=("tcp/80-90",)), service("b", ports=("tcp/88",))],
         "key 'services[1].ports[0]': value 'tcp/88': overlaps tcp/80-90 of service 'a', which has the same D-SID"),
        ([service(ports=("icmp",)), service("b", ports=("icmp",))],
         "key 'services[1].ports[0]': value 'icmp': overlaps icmp of service 'web', which has the same D-SID"),
        ([service(store="conntrack", key="client")],
         "key 'services[0].affinity.store': value 'conntrack': holds connections, so key must be 5-tuple, not client"),
        ([service(store="conntrack", dispatch="reactive")],
         "key 'services[0].affinity.store': value 'conntrack': needs dispatch: learn"),
        ([service(store="none", dispatch="reactive")],
         "key 'services[0].affinity.store': value 'none': needs dispatch: learn"),
        ([service(idle="65536s")], "key 'services[0].affinity.idle_timeout': value '65536s': must be 1s to 65535s"),
        ([service(fin="65536s")], "key 'services[0].affinity.fin_timeout': value '65536s': must be 0s to 65535s"),
        ([service(store="generations", fin="5s")],
         "key 'services[0].affinity.fin_timeout': value '5s': must be 0s with store: generations"),
        ([service(store="timed", limit=200000)],
         "key 'services[0].affinity.limit': value '200000': must be at most 100000 with store: timed"),
        ([service(store="marbles")], "key 'services[0].affinity.store': value 'marbles': must be"),
        ([service(sid=("10.96.0.1", "10.96.0.2"))], "a service has one D-SID per IP version"),
        ([service(ports=("tcp/0",))], "key 'services[0].ports[0]': value 'tcp/0': must be"),
        ([service(sid=("10.2.0.99",))], "key 'services[0].sid': value '10.2.0.99': lies in 10.2.0.0/24"),
    ]
    for services, expected in cases:
        status, said = refusal(case, services)
        assert status != 0, f"accepted, but should be refused with: {expected}"
        assert expected in said, f"said:\n{said}\nwithout: {expected}"
        assert re.search(r"checked\.yaml:\d+:\d+: key ", said), f"no place in the file: {said}"
    status, said = refusal(case, [service("a", ports=("tcp/80-90", "udp/53", "sctp/2905", "icmp")),
                                  service("b", ports=("tcp/91",), key="client/24/64", store="generations"),
                                  service("c", sid=("10.96.0.2",), store="conntrack")])
    assert status == 0, f"a good configuration was refused: {said}"
