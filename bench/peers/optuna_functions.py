#!/usr/bin/env python3
"""Optuna on a function that somebody else computes.

A line on stdout is a point of [-5, 5]^d, the line that comes back on stdin its value.
usage: optuna_functions.py tpe|cma SEED DIMENSIONS TRIALS
"""
import sys
import warnings

import optuna


def main():
    sampler, (seed, dimensions, trials) = sys.argv[1], map(int, sys.argv[2:])
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kinds = {"tpe": optuna.samplers.TPESampler, "cma": optuna.samplers.CmaEsSampler}
    study = optuna.create_study(sampler=kinds[sampler](seed=seed))
    for _ in range(trials):
        trial = study.ask()
        point = [trial.suggest_float(f"x{i:02}", -5, 5) for i in range(dimensions)]
        print(*(repr(float(x)) for x in point), flush=True)
        study.tell(trial, float(sys.stdin.readline()))


main()
