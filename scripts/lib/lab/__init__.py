"""Network namespaces as hosts, veth links, one real Open vSwitch per switch: see README.md."""
