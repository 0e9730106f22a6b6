"""Prints how often each behaviour was seen in a report of the Autobahn test suite; exits with 1 if a case failed.

For Python 2.7, as the suite itself, and 3.
"""
from __future__ import print_function

import collections
import json
import sys

# NON-STRICT: as the RFC allows, though not as early as it might be. INFORMATIONAL: there is no right or wrong.
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}
# How the connection ended is judged by itself.
GOOD_CLOSE = {"OK", "INFORMATIONAL"}


def order(case):
    return [int(part) for part in case.split(".")]


def main():
    with open(sys.argv[1]) as report:
        cases = json.load(report)["mudgateway"]
    if not cases:
        sys.exit("autobahn: no case was run")
    counts = collections.Counter(result["behavior"] for result in cases.values())
    closes = collections.Counter(result["behaviorClose"] for result in cases.values())
    print("%-16s %6s %6s" % ("behaviour", "cases", "close"))
    for behaviour in sorted(set(counts) | set(closes)):
        print("%-16s %6d %6d" % (behaviour, counts[behaviour], closes[behaviour]))
    for case in sorted(cases, key=order):
        result = cases[case]
        if result["behavior"] not in GOOD or result["behaviorClose"] not in GOOD_CLOSE:
            print("case %s: %s, close: %s" % (case, result["behavior"], result["behaviorClose"]))
        elif result["behavior"] != "OK":
            print("case %s: %s" % (case, result["behavior"]))
    failed = sum(
        result["behavior"] not in GOOD or result["behaviorClose"] not in GOOD_CLOSE for result in cases.values()
    )
    print("%d passed, %d failed" % (len(cases) - failed, failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
