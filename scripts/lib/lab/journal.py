"""What a lab has made, one JSON line each, written before it is made: whatever happens, `down` finds it.

The file lies in the lab's state folder. It is only ever appended to, so several programs (the demo, a
`lab exec` beside it) may write at once, and a torn last line is ignored.
"""

import fcntl
import json
import os

ROOT = "/run/dyncast-lab"


def folder(lab):
    return os.path.join(ROOT, lab)


def path(lab):
    return os.path.join(folder(lab), "journal")


def exists(lab):
    return os.path.isdir(folder(lab))


def create(lab, document):
    """Makes the state folder; False if a lab of that name is there already."""
    os.makedirs(ROOT, mode=0o755, exist_ok=True)
    try:
        os.mkdir(folder(lab), mode=0o755)
    except FileExistsError:
        return False
    os.mkdir(os.path.join(folder(lab), "logs"))
    with open(os.path.join(folder(lab), "lab.json"), "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
    append(lab, {"kind": "begun"})
    return True


def document(lab):
    try:
        with open(os.path.join(folder(lab), "lab.json"), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def append(lab, entry):
    line = (json.dumps(entry) + "\n").encode()
    fd = os.open(path(lab), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.write(fd, line)
    finally:
        os.close(fd)


def entries(lab, kind=None):
    result = []
    try:
        with open(path(lab), encoding="utf-8") as file:
            lines = file.readlines()
    except OSError:
        return result
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if kind is None or entry.get("kind") == kind:
            result.append(entry)
    return result


def labs():
    try:
        return sorted(name for name in os.listdir(ROOT) if os.path.isdir(folder(name)))
    except OSError:
        return []
