"""Whether an SBOM names every package that is linked into a program. `.ci/sbom` runs it."""

import json
import subprocess
import sys
from pathlib import Path


def linked(packages: list[str], triple: str) -> set[tuple[str, str]]:
    """What cargo says: the packages that these are built from when they are built at once, without build scripts' and tests'."""
    command = ["cargo", "tree", "--locked", "--offline", "--target", triple, "--edges", "normal,no-proc-macro",
               "--prefix", "none", "--format", "{p}", *(f"--package={package}" for package in packages)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {(words[0], words[1].removeprefix("v")) for words in map(str.split, lines) if len(words) >= 2}


def main() -> None:
    failed = False
    pairs = [pair.split(":") for pair in sys.argv[2:]]
    named_anywhere: set[tuple[str, str]] = set()
    for package, file in pairs:
        document = json.loads(Path(file).read_text())
        components = [document["metadata"]["component"], *document["components"]]
        named = {(component["name"], component["version"]) for component in components}
        named_anywhere |= named
        wanted = linked([package], sys.argv[1])
        missing = sorted(wanted - named)
        failed = failed or bool(missing) or not wanted
        for name, version in missing:
            print(f"error: {file} does not name {name} {version}")
        without = [component["name"] for component in document["components"] if not component.get("licenses")]
        print(f"{file}: {len(named)} packages, {len(wanted)} of them linked; {len(without)} do not say their licence")
    # Built together, a crate has the features that either of them asks for, and so may bring another.
    for name, version in sorted(linked([package for package, _ in pairs], sys.argv[1]) - named_anywhere):
        print(f"error: no document names {name} {version}")
        failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
