"""What an image holds, as a CycloneDX bill of materials; and whether its licences may be shipped.

    python deploy/sbom.py > sbom.json       # of the environment that runs this
    python deploy/sbom.py --check           # exit code 1 and a line for each that may not

Only what `deploy/lock.py` counts as needed is listed: tools of development are not shipped.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from lock import needed

#: Licences that may be shipped with a product, closed ones included. LGPL and MPL bind to
#: themselves alone: their packages are installed unchanged, and may be replaced.
ALLOWED = frozenset(
    [
        "0BSD",
        "Apache-2.0",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "ISC",
        "LGPL-3.0-only",
        "LLVM-exception",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MPL-2.0",
        "PSF-2.0",
        "Zlib",
    ]
)
#: As classifiers name them.
_CLASSIFIED = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
#: Packages whose metadata say nothing, read by hand in their licence files.
READ_BY_HAND = {
    "protobuf": "BSD-3-Clause",
    "pysocks": "BSD-3-Clause",
    "torchvision": "BSD-3-Clause",
}


def bill() -> dict[str, Any]:
    """The bill of this environment, of what an image needs. Runs cyclonedx-py."""
    command = [
        sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible",
        "--of", "JSON", sys.executable,
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    shipped = set(needed())
    kept = [c for c in found["components"] if _plain(c["name"]) in shipped]
    references = {c["bom-ref"] for c in kept}
    found["components"] = kept
    found["dependencies"] = [d for d in found.get("dependencies", ()) if d["ref"] in references]
    return found


def licences(component: dict[str, Any]) -> set[str]:
    """SPDX names of one component; empty where nobody says."""
    said: set[str] = set()
    for entry in component.get("licenses", ()):
        licence = entry.get("license", {})
        text = entry.get("expression") or licence.get("id") or licence.get("name") or ""
        classified = text.rpartition(" :: ")[2]
        if classified in _CLASSIFIED:
            said.add(_CLASSIFIED[classified])
        else:
            said.update(re.findall(r"[\w.+-]+", re.sub(r"\b(AND|OR|WITH)\b", " ", text)))
    return said or {
        READ_BY_HAND[name] for name in [_plain(component["name"])] if name in READ_BY_HAND
    }


def refused(found: dict[str, Any]) -> Iterator[str]:
    """A sentence for each component that may not be shipped, or of which nothing is known."""
    listed = {_plain(c["name"]) for c in found["components"]}
    yield from (f"{name}: not installed here." for name in sorted(set(needed()) - listed))
    for component in found["components"]:
        said = licences(component)
        if not said:
            yield f"{component['name']}: names no licence. Read its files, add it to READ_BY_HAND."
        elif not said <= ALLOWED:
            yield f"{component['name']}: {', '.join(sorted(said - ALLOWED))} is not in ALLOWED."


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    """Print the bill, or check it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="say what may not be shipped")
    args = parser.parse_args()
    found = bill()
    if not args.check:
        json.dump(found, sys.stdout, indent=1)
        return 0
    faults = list(refused(found))
    fine = f"{len(found['components'])} packages, all of licences that may be shipped"
    sys.stdout.write("\n".join(faults or [fine]) + "\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
