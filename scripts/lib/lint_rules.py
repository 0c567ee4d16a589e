"""The rules of scripts/lint: each takes a Tree and returns findings."""
import ast
import fnmatch
import json
import os
import re
import subprocess
from collections import namedtuple

import lint_layers as layers

MAX_LINES = 500
SKIPPED_FOLDERS = {".git", "build", "__pycache__", ".cache"}


class Finding(namedtuple("Finding", "file line rule message")):
    def __str__(self):
        return f"{self.file}:{self.line}: {self.rule}: {self.message}"


class Tree:
    """The files of a source tree, read once. `build`: a build folder, or None."""

    def __init__(self, root, build=None):
        self.root = root
        self.build = build
        self.files = []
        for folder, names, files in os.walk(root):
            names[:] = sorted(n for n in names if n not in SKIPPED_FOLDERS)
            self.files += [os.path.relpath(os.path.join(folder, f), root) for f in sorted(files)]
        self._texts = {}

    def text(self, path):
        if path not in self._texts:
            with open(os.path.join(self.root, path), "rb") as file:
                data = file.read()
            self._texts[path] = "" if b"\0" in data else data.decode("utf-8", "replace")
        return self._texts[path]

    def lines(self, path):
        return self.text(path).splitlines()

    def cxx(self):
        return [f for f in self.files if f.endswith((".cc", ".h", ".c"))]

    def language(self, path):
        """"bash", "python" or None."""
        first = self.text(path).split("\n", 1)[0]
        if path.endswith(".sh") or (first.startswith("#!") and re.search(r"\b(ba)?sh\b", first)):
            return "bash"
        if path.endswith(".py") or (first.startswith("#!") and "python" in first):
            return "python"
        return None


def under(path, folder):
    return path.startswith(folder + "/")


def code_lines(tree, path):
    """Numbered lines without // comments and without the contents of strings."""
    for number, line in enumerate(tree.lines(path), 1):
        line = re.sub(r'"(\\.|[^"\\])*"', '""', line) if not line.startswith("#include") else line
        yield number, line.split("//", 1)[0]


def includes(tree, path):
    for number, line in enumerate(tree.lines(path), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1) == '"', match.group(2)


def folder_of(path):
    fitting = [folder for folder in layers.MAY_INCLUDE if under(path, folder)]
    return max(fitting, key=len, default=None)


def check_layers(tree):
    found = []
    top = {folder.split("/")[0] for folder in layers.MAY_INCLUDE}
    for path in tree.cxx():
        folder = folder_of(path)
        for number, quoted, name in includes(tree, path):
            if not quoted or folder is None:
                continue
            if name.split("/")[0] not in top:
                if not any(under(path, ovs) for ovs in layers.OVS_FOLDERS):
                    found.append(Finding(path, number, "layers", f'"{name}" is no path from the root'))
                continue
            allowed = layers.MAY_INCLUDE[folder]
            target = folder_of(name)
            if allowed is not None and target != folder and target not in allowed:
                found.append(Finding(path, number, "layers", f"{folder} may not include {target} ({name})"))
    return found


def check_ovs(tree):
    found = []
    for path in tree.cxx():
        if any(under(path, folder) for folder in layers.OVS_FOLDERS):
            continue
        for number, _, name in includes(tree, path):
            if name == "config.h" or name.startswith(("openvswitch/", "openflow/")) and "ovs-integration" not in name:
                found.append(Finding(path, number, "ovs", f"only ovs-integration/openflow and ovsdb include <{name}>"))
    return found


def is_pure(path):
    return any(under(path, folder) for folder in layers.PURE) or path.rsplit(".", 1)[0] in layers.PURE_FILES


def check_pure(tree):
    found = []
    for path in filter(is_pure, tree.cxx()):
        for number, _, name in includes(tree, path):
            if any(re.fullmatch(pattern, name) for pattern in layers.IMPURE_INCLUDES):
                found.append(Finding(path, number, "pure", f"includes {name}"))
        for number, line in code_lines(tree, path):
            for pattern in layers.IMPURE_CALLS:
                match = re.search(pattern, line)
                if match:
                    found.append(Finding(path, number, "pure", f"uses {match.group(0)}: it is to be handed in"))
    return found


def cmake_names(tree, path):
    """True if a CMake file between the source and the root takes the source in."""
    folder = os.path.dirname(path)
    while folder:
        relative = os.path.relpath(path, folder)
        for cmake in tree.files:
            if os.path.dirname(cmake) != folder or not cmake.endswith(("CMakeLists.txt", ".cmake")):
                continue
            text = re.sub(r"#.*", "", tree.text(cmake))
            words = re.split(r"[\s()\"]+", text)
            words = [re.sub(r"^\$\{CMAKE_CURRENT_(SOURCE|LIST)_DIR\}/", "", w) for w in words]
            if relative in words:
                return True
            globs = [w for w in words if "*" in w]
            # dyncast_test without SOURCES takes the folder's *_test.cc.
            for call in re.findall(r"dyncast_test\(([^)]*)\)", text):
                if "SOURCES" not in call.split():
                    globs.append("*_test.cc")
            if "/" not in relative and any(fnmatch.fnmatch(relative, g) for g in globs):
                return True
        folder = os.path.dirname(folder)
    return False


def check_built(tree):
    compiled = None
    if tree.build:
        with open(os.path.join(tree.build, "compile_commands.json"), encoding="utf-8") as file:
            compiled = {os.path.normpath(os.path.join(c["directory"], c["file"])) for c in json.load(file)}
    found = []
    for path in tree.cxx():
        # The corpus runner is added to every fuzzer by the build's own function.
        if path.endswith(".h") or path == "tests/fuzz/run_corpus.cc" and compiled is None:
            continue
        built = os.path.normpath(os.path.join(tree.root, path)) in compiled if compiled is not None \
            else cmake_names(tree, path)
        if not built:
            found.append(Finding(path, 1, "built", "is in no target of the build"))
    for path in tree.cxx():
        if path.startswith("tests/") and re.search(r"^\s*(TEST|TEST_F|TEST_P|TYPED_TEST)\(", tree.text(path), re.M) \
                and not path.endswith("_test.cc"):
            found.append(Finding(path, 1, "built", "holds tests but is not called *_test.cc"))
    return found


def check_readme(tree):
    """Each folder; one of tests or scripts may be described by the folder above it."""
    sources = (".cc", ".h", ".c", ".py", ".sh", ".proto")
    folders = {os.path.dirname(f) for f in tree.files if f.endswith(sources)}
    found = []
    for folder in sorted(folders):
        places = [folder]
        if folder.split("/")[0] in ("tests", "scripts"):
            places.append(os.path.dirname(folder))
        if not any(os.path.join(place, "README.md") in tree.files for place in places):
            found.append(Finding(folder or ".", 1, "readme", "holds sources but no README.md"))
    return found


def check_format(tree):
    files = tree.cxx()
    found = []
    for start in range(0, len(files), 100):
        done = subprocess.run(["clang-format", "--dry-run", "--ferror-limit=1", *files[start:start + 100]],
                              cwd=tree.root, stderr=subprocess.PIPE, text=True, check=False)
        for path, line in re.findall(r"^(\S+?):(\d+):\d+: (?:warning|error): code should", done.stderr, re.M):
            found.append(Finding(path, int(line), "format", "is not as clang-format writes it"))
        if done.returncode != 0 and not found:
            found.append(Finding(".clang-format", 1, "format", done.stderr.strip()[:200]))
    return found


def check_length(tree):
    found = []
    for path in tree.files:
        source = path.endswith((".cc", ".h", ".c", ".cmake", ".proto", "CMakeLists.txt")) or tree.language(path)
        count = len(tree.lines(path)) if source else 0
        if count > MAX_LINES:
            found.append(Finding(path, MAX_LINES, "length", f"has {count} lines, more than {MAX_LINES}"))
    return found


def check_scripts(tree):
    found = []
    for path in tree.files:
        language = tree.language(path)
        if language == "bash":
            done = subprocess.run(["bash", "-n", os.path.join(tree.root, path)], stderr=subprocess.PIPE, text=True,
                                  check=False)
            if done.returncode != 0:
                found.append(Finding(path, 1, "scripts", done.stderr.strip().splitlines()[0][:200]))
        elif language == "python":
            try:
                ast.parse(tree.text(path), path)
            except SyntaxError as error:
                found.append(Finding(path, error.lineno or 1, "scripts", str(error.msg)))
    return found


# A wait that polls something outside the test's reach says so on its line: "lint: sleep REASON".
SLEEPS = {
    "c": r"\b(sleep_for|sleep_until|usleep|nanosleep|sleep|xsleep)\s*\(",
    "bash": r"(^|[;&|]|\bdo|\bthen)\s*sleep\s+[\d.$]",
    "python": r"\btime\.sleep\s*\(",
}
TIMED_TESTS = ("tests/unit", "tests/property", "tests/ovs", "tests/fuzz", "tests/lab")


def check_sleep(tree):
    found = []
    for path in tree.files:
        if not any(under(path, folder) for folder in TIMED_TESTS):
            continue
        language = "c" if path.endswith((".cc", ".h", ".c")) else tree.language(path)
        if language is None:
            continue
        for number, line in enumerate(tree.lines(path), 1):
            code = line.split("//", 1)[0] if language == "c" else line
            if re.search(SLEEPS[language], code) and not re.search(r"lint: sleep \w", line):
                found.append(Finding(path, number, "sleep", "a test waits for a condition, not for time"))
    return found


def joined(*parts):
    """Keeps this file from holding what it looks for."""
    return re.escape("".join(parts))


WORDS = {
    "a path of somebody's machine": r"(?<![\w.}/-])(" + "|".join([
        joined("/wo", "rk/"), joined("/tmp", "/w/"), joined("/ro", "ot/"), joined("/ho", "me/") + r"\w"]) + ")",
    "a package registry's host": "|".join([
        joined("pypi", ".org"), joined("python", "hosted.org"), joined("npm", "js.org"), joined("npm", "js.com"),
        joined("crates", ".io"), joined("proxy.go", "lang.org"), joined("deb.deb", "ian.org"),
        joined("rubygems", ".org"), joined("maven", ".org")]),
    "a marker of unfinished work": r"\b(" + "|".join(
        [joined("TO", "DO"), joined("FIX", "ME"), joined("XX", "X"), joined("HA", "CK")]) + r")\b",
}


def check_words(tree):
    found = []
    for path in tree.files:
        if under(path, "tests/fuzz/corpus"):
            continue
        for number, line in enumerate(tree.lines(path), 1):
            for what, pattern in WORDS.items():
                match = re.search(pattern, line)
                if match:
                    found.append(Finding(path, number, "words", f"{what}: {match.group(0)}"))
    return found


RULES = {
    "layers": check_layers,
    "ovs": check_ovs,
    "pure": check_pure,
    "built": check_built,
    "readme": check_readme,
    "format": check_format,
    "length": check_length,
    "scripts": check_scripts,
    "sleep": check_sleep,
    "words": check_words,
}
