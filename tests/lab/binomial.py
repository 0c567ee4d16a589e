"""Exact binomial bounds: what a count may be when each of `n` demands goes there with probability `p`."""

import math


def interval(n, p, confidence=0.999):
    """(least, most) counts such that each tail outside has at most (1 - confidence) / 2."""
    if not 0 < p < 1:
        return (n, n) if p >= 1 else (0, 0)
    tail = (1 - confidence) / 2
    log_p, log_q = math.log(p), math.log1p(-p)
    total = math.lgamma(n + 1)

    def chance(k):
        return math.exp(total - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * log_p + (n - k) * log_q)

    least, below = 0, chance(0)
    while below <= tail:
        least += 1
        below += chance(least)
    most, above = n, chance(n)
    while above <= tail:
        most -= 1
        above += chance(most)
    return least, most


def require_shares(counts, weights, confidence=0.999):
    """Each instance's count within the interval of its share; AssertionError names the first that is not."""
    n, whole = sum(counts.values()), sum(weights.values())
    for name, weight in weights.items():
        least, most = interval(n, weight / whole, confidence)
        seen = counts.get(name, 0)
        assert least <= seen <= most, f"{name}: {seen} of {n}, its share of {weight}/{whole} allows {least}..{most}: {counts}"
