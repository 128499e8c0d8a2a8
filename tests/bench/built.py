"""Where Cargo put a bench target, built first."""
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
def bench(name):
    out = subprocess.run(["cargo", "bench", "--bench", name, "--no-run", "--message-format", "json"], cwd=ROOT,
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in out.splitlines():
        message = json.loads(line)
        if message.get("executable") and message.get("target", {}).get("name") == name:
            return message["executable"]
    return sys.exit(f"cargo built no bench target `{name}`")


def binary():
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    return str(ROOT / "target/release/isogloss")
