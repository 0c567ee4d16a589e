"""Who may include whom, as data. The longest folder that fits a file names its rule."""

SCHEMA = ("schema/base", "schema/model", "schema/wire", "schema/config", "schema/sql")

# Folder: the folders whose headers it may include, beside its own.
MAY_INCLUDE = {
    "schema/base": (),
    "schema/model": ("schema/base",),
    "schema/wire": ("schema/base", "schema/model"),
    "schema/config": ("schema/base", "schema/model"),
    "schema/sql": ("schema/base", "schema/model"),
    "ovs-integration/pipeline": ("schema/base", "schema/model"),
    "ovs-integration/openflow": ("schema/base", "schema/model", "ovs-integration/pipeline"),
    "ovs-integration/ovsdb": ("schema/base", "schema/model"),
    "controller/core": ("schema/base", "schema/model", "schema/wire", "schema/config"),
    "controller/io": SCHEMA + ("controller/core", "ovs-integration/pipeline", "ovs-integration/openflow",
                               "ovs-integration/ovsdb"),
    "controller/ctl": ("schema/base",),
    "controller": SCHEMA + ("controller/core", "controller/io", "ovs-integration/pipeline",
                            "ovs-integration/openflow", "ovs-integration/ovsdb"),
    "agent/core": ("schema/base", "schema/model", "schema/wire", "schema/config"),
    "agent/io": ("schema/base", "schema/model", "schema/wire", "schema/config", "agent/core"),
    "agent": ("schema/base", "schema/model", "schema/wire", "schema/config", "agent/core", "agent/io"),
    "tests": None,  # anything
}

# These alone may include headers of Open vSwitch; theirs are the only quoted ones that are no path of ours.
OVS_FOLDERS = ("ovs-integration/openflow", "ovs-integration/ovsdb", "tests")

# No clock, no thread, no I/O: `now` and bytes are handed in.
PURE = ("schema/model", "schema/wire", "ovs-integration/pipeline", "controller/core", "agent/core")
PURE_FILES = ("ovs-integration/ovsdb/rows", "ovs-integration/ovsdb/plan", "controller/ctl/text",
              "controller/ctl/table", "controller/ctl/lists", "controller/ctl/render", "controller/ctl/explain")
IMPURE_INCLUDES = (r"zmq.*", r"sqlite3\.h", r"httplib\.h", r"curl/.*", r"thread", r"mutex",
                   r"condition_variable", r"future", r"fstream", r"iostream", r"filesystem",
                   r"sys/(socket|epoll|stat|un|ioctl)\.h", r"netinet/in\.h", r"unistd\.h", r"fcntl\.h", r"poll\.h",
                   r"libmnl/.*")
IMPURE_CALLS = (r"::now\s*\(", r"\bReadClocks\s*\(", r"\bgettimeofday\s*\(", r"\bclock_gettime\s*\(",
                r"\btime\s*\(\s*(nullptr|NULL|0)\s*\)", r"\brandom_device\b", r"\bgetenv\s*\(")
