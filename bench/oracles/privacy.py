"""Privacy of DP-SGD by Google's dp-accounting, for lib/privacy/testdata.

    pip install dp-accounting==0.6.0
    python bench/oracles/privacy.py lib/privacy/testdata

epsilon.csv: settings of PAPERS (De et al., 2022, and a usual one), edges, and settings drawn at random, log-uniformly; ε by its RDP accountant, with the
order, and its PLD accountant, both with their defaults, add or remove one. composed.csv: two phases after one another. calibrated.csv: the noise
multiplier for a target ε, to 1e-7, and the most steps within it. It takes some minutes.
"""
import csv
import os
import sys

import dp_accounting as dp
import numpy as np
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant


def event(noise, rate, steps):
    return dp.SelfComposedDpEvent(dp.PoissonSampledDpEvent(rate, dp.GaussianDpEvent(noise)), steps)


def accounts(*phases):
    rdp, pld = RdpAccountant(), PLDAccountant()
    for phase in phases:
        rdp.compose(event(*phase))
        pld.compose(event(*phase))
    return rdp, pld


def settings():
    q = 4096 / 50000
    for noise, steps in [(10, 875), (6, 1125), (5, 1593), (4, 1687), (3, 1843)]:
        yield noise, q, steps, 1e-5
    yield 1.1, 0.01, 1000, 1e-5
    for noise, rate, steps, delta in [(1, 1, 1, 1e-5), (4, 1, 100, 1e-6), (20, 1, 5000, 1e-5), (0.5, 0.01, 1, 1e-5), (0.4, 0.3, 50, 1e-5), (0.3, 0.001, 200, 1e-5),
                                      (1, 0.999, 10, 1e-5), (1, 1e-6, 100000, 1e-7), (50, 0.5, 10000, 1e-5), (0.8, 0.004, 20000, 1e-9), (1, 0.01, 10000, 1e-5),
                                      (2, 0.5, 3, 0.01), (1, 0.1, 30, 0.3), (1, 0.001, 10, 0.01)]:
        yield noise, rate, steps, delta
    rng = np.random.default_rng(1)
    for _ in range(180):
        noise, rate = 10 ** rng.uniform(-0.3, 1.2), 10 ** rng.uniform(-4, 0)
        steps, delta = int(10 ** rng.uniform(0, 4.2)), 10 ** rng.uniform(-9, -2)
        yield float(f"{noise:.3g}"), float(f"{rate:.3g}"), steps, float(f"{delta:.3g}")


def write(name, header, rows):
    with open(os.path.join(sys.argv[1], name), "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(header)
        w.writerows(rows)


def main():
    rows = []
    for noise, rate, steps, delta in settings():
        rdp, pld = accounts((noise, rate, steps))
        epsilon, order = rdp.get_epsilon_and_optimal_order(delta)
        rows.append([noise, rate, steps, delta, float(epsilon), float(order), float(pld.get_epsilon(delta))])
        print(rows[-1], flush=True)
    write("epsilon.csv", ["noise", "rate", "steps", "delta", "rdp", "order", "pld"], rows)

    rows = []
    for a, b in [((1, 0.01, 1000), (2, 0.02, 500)), ((4, 0.08, 800), (1.5, 0.005, 2000)), ((3, 1, 5), (0.9, 0.01, 300)), ((10, 1, 20), (6, 1, 7))]:
        rdp, pld = accounts(a, b)
        rows.append([*a, *b, 1e-5, float(rdp.get_epsilon(1e-5)), float(pld.get_epsilon(1e-5))])
    write("composed.csv", ["noise", "rate", "steps", "noise2", "rate2", "steps2", "delta", "rdp", "pld"], rows)

    rows = []
    for target, delta, rate, steps in [(1, 1e-5, 4096 / 50000, 875), (3, 1e-5, 0.01, 2000), (8, 1e-5, 0.02, 1500), (0.5, 1e-6, 1, 10)]:
        found = []
        for accountant in RdpAccountant, PLDAccountant:
            noise = dp.calibrate_dp_mechanism(accountant, lambda s: event(s, rate, steps), target, delta, dp.ExplicitBracketInterval(0.4, 60), tol=1e-7)
            rounded = float(f"{noise:.3g}")  # steps with a noise multiplier that is a round number
            most = dp.calibrate_dp_mechanism(accountant, lambda n: event(rounded, rate, n), target, delta, dp.ExplicitBracketInterval(1, 20 * steps), discrete=True)
            found += [float(noise), rounded, most]
        rows.append([target, delta, rate, steps, *found])
        print(rows[-1], flush=True)
    write("calibrated.csv", ["epsilon", "delta", "rate", "steps", "rdp noise", "rdp given", "rdp steps", "pld noise", "pld given", "pld steps"], rows)


main()
