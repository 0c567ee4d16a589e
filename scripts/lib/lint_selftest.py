"""scripts/lint --self-test: a fault for each rule, planted in a copy of the tree, must be found there."""
import json
import os
import shutil
import sys
import tempfile

import lint_rules

TEST = "tests/unit/planted/planted_test.cc"
CORE = "controller/core/planted.cc"

# (rule, file, its text). Each is the only thing wrong with the copy as far as the rule goes.
FAULTS = [
    ("layers", "schema/base/planted.h", '#include "controller/core/core.h"\n'),
    ("layers", CORE, '#include "ovs-integration/openflow/loop.h"\n'),
    ("layers", "agent/core/planted.cc", '#include "agent/io/problems.h"\n'),
    ("layers", "agent/io/planted.cc", '#include "controller/core/core.h"\n'),
    ("layers", "controller/ctl/planted.cc", '#include "text.h"\n'),
    ("ovs", "controller/io/planted.cc", "#include <openvswitch/poll-loop.h>\n"),
    ("ovs", "agent/io/planted.cc", "#include <config.h>\n"),
    ("layers", "controller/io/planted.cc", '#include "jsonrpc.h"\n'),
    ("pure", CORE, "#include <thread>\n"),
    ("pure", CORE, "#include <zmq.hpp>\n"),
    ("pure", "agent/core/planted.cc", "#include <sqlite3.h>\n"),
    ("pure", "ovs-integration/pipeline/planted.cc", "auto t = std::chrono::steady_clock::now();\n"),
    ("pure", CORE, "auto t = dyncast::ReadClocks();\n"),
    ("built", TEST, "TEST(A, B) {}\n"),
    ("built", "tests/bench/planted/bench.cc", "int x;\n"),
    ("built", "tests/fuzz/planted/fuzz_planted.cc", "int x;\n"),
    ("built", "tests/unit/planted/planted.cc", "TEST(A, B) {}\n"),
    ("readme", "agent/planted/x.cc", "int x;\n"),
    ("format", "schema/base/planted.cc", "int  x ;\n"),
    ("length", "schema/base/planted.cc", "int x;\n" * 501),
    ("length", "scripts/planted", "#!/usr/bin/env bash\n" + "true\n" * 500),
    ("scripts", "scripts/planted", "#!/usr/bin/env bash\nif true; then\n"),
    ("scripts", "scripts/lib/planted.py", "def f(:\n"),
    ("sleep", TEST, "void F() { std::this_thread::sleep_for(x); }\n"),
    ("sleep", "tests/lab/planted.sh", "sleep 1\n"),
    ("sleep", "tests/lab/planted.py", "import time\ntime." + "sleep(1)\n"),
    ("words", "docs/planted.md", "see /wo" + "rk/main\n"),
    ("words", "scripts/planted", "cd /ro" + "ot/x\n"),
    ("words", "schema/base/planted.h", "// TO" + "DO: later\n"),
    ("words", "scripts/planted", "curl https://pypi" + ".org/simple\n"),
]

# What must not be taken for a fault.
INNOCENT = [
    ("pure", CORE, '// steady_clock::now() is not ours\nconst char* kText = "::now()";\n'),
    ("layers", "ovs-integration/ovsdb/planted.cc", '#include "jsonrpc.h"\n#include "schema/base/ids.h"\n'),
    ("sleep", TEST, "// never sleep(1)\nusleep(1);  // lint: sleep polls another process\n"),
    ("words", "docs/planted.md", "the framework/ folder, ${prefix}/wo" + "rk/x, mkdtemp XXXX" + "XX\n"),
    ("ovs", "controller/io/planted.cc", '#include "ovs-integration/openflow/loop.h"\n'),
]


def plant(root, path, text):
    """Writes the file; returns what undoes it."""
    full = os.path.join(root, path)
    made = full
    while not os.path.exists(os.path.dirname(made)):
        made = os.path.dirname(made)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as file:
        file.write(text)
    return lambda: shutil.rmtree(made) if os.path.isdir(made) else os.remove(made)


def concerns(finding, path):
    return finding.file == path or finding.file == os.path.dirname(path)


def expect(root, rule, path, text, wanted, build=None):
    undo = plant(root, path, text)
    try:
        found = [f for f in lint_rules.RULES[rule](lint_rules.Tree(root, build)) if concerns(f, path)]
    finally:
        undo()
    if bool(found) == wanted:
        return 0
    print(f"self-test: rule {rule} {'missed' if wanted else 'wrongly found'} {path}: {text[:60]!r}", file=sys.stderr)
    return 1


def run(source):
    failures = 0
    with tempfile.TemporaryDirectory(prefix="dyncast-lint-") as folder:
        root = os.path.join(folder, "tree")
        shutil.copytree(source, root, ignore=shutil.ignore_patterns(*lint_rules.SKIPPED_FOLDERS))
        for rule, path, text in FAULTS:
            failures += expect(root, rule, path, text, True)
        for rule, path, text in INNOCENT:
            failures += expect(root, rule, path, text, False)
        # The same by a build's list: one file is in it, the other is not.
        build = os.path.join(folder, "build")
        os.mkdir(build)
        with open(os.path.join(build, "compile_commands.json"), "w", encoding="utf-8") as file:
            json.dump([{"directory": root, "file": os.path.join(root, TEST)}], file)
        failures += expect(root, "built", TEST, "int x;\n", False, build)
        failures += expect(root, "built", CORE, "int x;\n", True, build)
        covered = {rule for rule, _, _ in FAULTS}
        if covered != set(lint_rules.RULES):
            print(f"self-test: no fault for {set(lint_rules.RULES) - covered}", file=sys.stderr)
            failures += 1
    print(f"lint --self-test: {len(FAULTS) + len(INNOCENT) + 2} cases, {failures} failures")
    return 1 if failures else 0
