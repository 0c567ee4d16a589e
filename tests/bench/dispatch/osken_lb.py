"""A load balancer as an os-ken application, the peer `os-ken` of the dispatch bench: the controller chooses an
instance in turn for each new UDP flow, installs a flow for its 5-tuple and sends the packet on.

Run by osken-manager. DYNCAST_BENCH_LB holds, as JSON: sid, port, gateway_mac, uplink_mac, client_mac, instances
(a list of [D-BID, MAC, OpenFlow port]), idle_timeout.
"""

import itertools
import json
import os

from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.lib.packet import ether_types, ipv4, packet, udp
from os_ken.ofproto import ofproto_v1_3

CLIENT_PORT = 1


class LoadBalancer(app_manager.OSKenApp):
    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.config = json.loads(os.environ["DYNCAST_BENCH_LB"])
        self.turn = itertools.cycle(self.config["instances"])

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def switch_ready(self, event):
        datapath = event.msg.datapath
        parser, ofproto = datapath.ofproto_parser, datapath.ofproto
        demand = parser.OFPMatch(in_port=CLIENT_PORT, eth_type=ether_types.ETH_TYPE_IP, ip_proto=17,
                                 ipv4_dst=self.config["sid"], udp_dst=self.config["port"])
        self.add(datapath, 10, demand, [parser.OFPActionOutput(ofproto.OFPP_CONTROLLER, ofproto.OFPCML_NO_BUFFER)])
        for address, _, _ in self.config["instances"]:
            answer = parser.OFPMatch(eth_type=ether_types.ETH_TYPE_IP, ip_proto=17, ipv4_src=address,
                                     udp_src=self.config["port"])
            self.add(datapath, 20, answer, [
                parser.OFPActionSetField(ipv4_src=self.config["sid"]),
                parser.OFPActionSetField(eth_src=self.config["gateway_mac"]),
                parser.OFPActionSetField(eth_dst=self.config["client_mac"]),
                parser.OFPActionOutput(CLIENT_PORT)])

    @staticmethod
    def add(datapath, priority, match, actions, idle_timeout=0):
        parser, ofproto = datapath.ofproto_parser, datapath.ofproto
        instructions = [parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, actions)]
        datapath.send_msg(parser.OFPFlowMod(datapath=datapath, priority=priority, match=match,
                                            instructions=instructions, idle_timeout=idle_timeout))

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def demand(self, event):
        message = event.msg
        datapath = message.datapath
        parser, ofproto = datapath.ofproto_parser, datapath.ofproto
        seen = packet.Packet(message.data)
        ip, ports = seen.get_protocol(ipv4.ipv4), seen.get_protocol(udp.udp)
        if ip is None or ports is None:
            return
        address, mac, port = next(self.turn)
        actions = [parser.OFPActionSetField(ipv4_dst=address), parser.OFPActionSetField(eth_src=self.config["uplink_mac"]),
                   parser.OFPActionSetField(eth_dst=mac), parser.OFPActionOutput(port)]
        match = parser.OFPMatch(in_port=CLIENT_PORT, eth_type=ether_types.ETH_TYPE_IP, ip_proto=17, ipv4_src=ip.src,
                                ipv4_dst=ip.dst, udp_src=ports.src_port, udp_dst=ports.dst_port)
        self.add(datapath, 100, match, actions, self.config["idle_timeout"])
        datapath.send_msg(parser.OFPPacketOut(datapath=datapath, buffer_id=ofproto.OFP_NO_BUFFER, in_port=CLIENT_PORT,
                                              actions=actions, data=message.data))
