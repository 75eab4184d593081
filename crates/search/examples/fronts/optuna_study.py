"""A study of Optuna that is asked and told over its pipes, a line of JSON each: first the parameters and how many objectives are
to be minimised, then {} for a suggestion, {"number": N, "values": [...]} for a result."""
import json
import sys
import warnings

import optuna

warnings.filterwarnings("ignore")
optuna.logging.disable_default_handler()
SAMPLERS = {
    "nsga2": optuna.samplers.NSGAIISampler,
    "tpe": optuna.samplers.TPESampler,
    "gp": optuna.samplers.GPSampler,
}
given = json.loads(sys.stdin.readline())
sampler = SAMPLERS[sys.argv[1]](seed=int(sys.argv[2]))
study = optuna.create_study(directions=["minimize"] * given["objectives"], sampler=sampler)


def draw(trial):
    point = {}
    for p in given["parameters"]:
        if not all(point.get(c["parameter"]) in c["any_of"] for c in p["when"]):
            continue
        if p["kind"] == "real":
            value = trial.suggest_float(p["name"], p["min"], p["max"], log=p["log"])
        elif p["kind"] == "integer":
            value = trial.suggest_int(p["name"], p["min"], p["max"], log=p["log"])
        else:
            value = trial.suggest_categorical(p["name"], p["values"])
        point[p["name"]] = value
    return point


for line in iter(sys.stdin.readline, ""):
    message = json.loads(line)
    if "number" in message:
        study.tell(message["number"], message["values"])
    else:
        print(json.dumps(draw(study.ask())), flush=True)
