import json, os, sys, urllib.request
def post(path, **body):
    url = f"http://{os.environ['BONFIRE_COORDINATOR']}/v1/{path}"
    head = {"Authorization": "Bearer " + open(os.environ["BONFIRE_TOKEN_FILE"]).read().strip()}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), head)) as answer:
        return json.load(answer)
while (asked := post(f"sweeps/{sys.argv[1]}/ask"))["trial"]:
    x, y = asked["parameters"]["x"], asked["parameters"]["y"]
    height = (1 - x) ** 2 + 100 * (y - x * x) ** 2
    post(f"trials/{asked['trial']}/tell", attempt=asked["attempt"], value=height)
