"""Time several contestants in one alternating loop, so that a busy moment of the machine hits all of them."""

import gc
import timeit
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from benchmarks.contestants import Contestant, warm_up
from benchmarks.steps import Step, check

FLOAT32 = np.dtype(np.float32)
Times = dict[str, list[float]]


def time_in_turns(functions: dict[str, Callable[[], Any]], rounds: int, seconds: float) -> Times:
    """Microseconds a call: for each function one figure per round.

    Parameters
    ----------
    functions : dict of callable
        What to time, by name.
    rounds : int
        How often each one has its turn.
    seconds : float
        About how long a turn lasts: as many calls as fit, at least one.
    """
    timers = {name: timeit.Timer(function) for name, function in functions.items()}
    calls = {}
    for name, timer in timers.items():
        fills_a_turn = timer.timeit(1) >= seconds  # warms up too
        calls[name] = 1 if fills_a_turn else max(1, round(seconds / (timer.timeit(3) / 3)))
    taken: Times = {name: [] for name in timers}
    for _ in range(rounds):
        for name, timer in timers.items():
            taken[name].append(timer.timeit(calls[name]) / calls[name] * 1e6)
    return taken


def ratio(taken: Times, name: str, baseline: str) -> float | None:
    """The median over the rounds of one contestant's time over another's; None if either is absent."""
    if name not in taken or baseline not in taken:
        return None
    return median(ours / theirs for ours, theirs in zip(taken[name], taken[baseline], strict=True))


def measure(step: Step, who: list[str], rounds: int, seconds: float) -> tuple[Times, dict[str, Contestant]]:
    """Check that the contestants agree, then time them in their steady state.

    Returns
    -------
    taken : dict of list of float
        As :func:`time_in_turns`.
    team : dict of Contestant
        Those that were timed.
    """
    gc.collect()  # compiled steps that were measured before hold their arrays until then
    check(step, who)
    team = {name: step.contestant(name, FLOAT32) for name in who}
    for name, contestant in team.items():
        warm_up(name, contestant)
    return time_in_turns({name: contestant.step for name, contestant in team.items()}, rounds, seconds), team
