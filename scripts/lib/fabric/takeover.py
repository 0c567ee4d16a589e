"""One D-Forwarder and two D-Routers that it may ask: takeover.yaml as configuration. Names are those of `forwarders`."""

import os

from lab.lab import REPOSITORY

from . import forwarders

TOPOLOGY = os.path.join(REPOSITORY, "tests", "lab", "topologies", "takeover.yaml")
D_ROUTERS = {"dr1": 7, "dr2": 8}  # name -> number


def fabric(lab, services):
    """fabric.yaml"""
    d_routers = [forwarders.bare_switch(lab, name, number, "d-router") for name, number in D_ROUTERS.items()]
    f1 = {**forwarders.switch(lab, "f1", 1, "d-forwarder"), "d_routers": list(D_ROUTERS)}
    return forwarders.document(lab, [f1, *d_routers], services)


class TakeoverFabric(forwarders.ForwarderFabric):
    DOCUMENT = staticmethod(fabric)

    @property
    def switch(self):
        return self.lab.switches["dr1"]
