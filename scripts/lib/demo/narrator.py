"""Says what the demo does and sees, and keeps the steps for --json."""

import json
import sys
import time


class StepFailed(Exception):
    """A step did not hold; the message says what was expected and what was seen."""


def require(condition, message):
    if not condition:
        raise StepFailed(message)


class Narrator:
    def __init__(self):
        self.steps = []
        self.begun = time.monotonic()

    def title(self, text):
        print(f"\n== {text}", flush=True)

    def say(self, text):
        for line in str(text).splitlines():
            print(f"   {line}", flush=True)

    def record(self, name, ok, figures, seconds):
        figures = {**figures, "seconds": round(seconds, 2)}
        self.steps.append({"name": name, "ok": ok, "figures": figures})
        print(f"   {'held' if ok else 'FAILED'} ({seconds:.1f} s)", flush=True)

    def ok(self):
        return bool(self.steps) and all(step["ok"] for step in self.steps)

    def write(self, path):
        try:
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"steps": self.steps}, file, indent=1)
                file.write("\n")
        except OSError as error:
            print(f"demo: {path}: {error}", file=sys.stderr)
            return False
        return True

    def summary(self):
        held = sum(step["ok"] for step in self.steps)
        print(f"\n{held} of {len(self.steps)} steps held, {time.monotonic() - self.begun:.0f} s from the lab's start")
