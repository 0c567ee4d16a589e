"""The one place that waits: for a condition, by looking again after a short while."""

import select
import time

from .errors import LabError

POLL_S = 0.02


def wait_until(condition, timeout_s, what, poll_s=POLL_S):
    """Returns the first true value of `condition`; LabError naming `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        left = deadline - time.monotonic()
        if left <= 0:
            raise LabError(f"waited {timeout_s:g} s in vain: {what() if callable(what) else what}")
        select.select([], [], [], min(poll_s, left))
