"""Shows which lines of the rules and the workflows no test runs, and fails if they are too many.

Lines of tests that stand in the same file as what they test are not counted: they would flatter the figure.
"""

import pathlib
import sys

LEAST = 95.0
ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ROOT / "workflows"


def records(path):
    """Each file's lines and how often they ran."""
    lines, name = {}, None
    for record in pathlib.Path(path).read_text().splitlines():
        kind, _, rest = record.partition(":")
        if kind == "SF":
            name, lines = pathlib.Path(rest), {}
        elif kind == "DA":
            number, count = rest.split(",")[:2]
            lines[int(number)] = max(lines.get(int(number), 0), int(count))
        elif kind == "end_of_record":
            yield name, lines


def of_product(path, lines):
    """The lines before the file's own tests."""
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if text.strip() == "#[cfg(test)]":
            return {line: count for line, count in lines.items() if line < number}
    return lines


def spans(numbers):
    """1, 2, 3, 7 as 1-3, 7."""
    found = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def main():
    totals, uncovered, rows = {}, [], []
    for path, lines in sorted(records(sys.argv[1])):
        if not path.is_relative_to(SOURCES) or "tests" in path.relative_to(SOURCES).parts:
            continue
        lines = of_product(path, lines)
        if not lines:
            continue
        name = path.relative_to(SOURCES).as_posix()
        part = "workflows/domain" if name.startswith("domain/") else "workflows, the rest"
        ran = sum(count > 0 for count in lines.values())
        rows.append((name, len(lines), ran))
        for total in (part, "workflows, all of it"):
            have = totals.setdefault(total, [0, 0])
            have[0], have[1] = have[0] + len(lines), have[1] + ran
        missed = [number for number, count in sorted(lines.items()) if count == 0]
        if missed:
            uncovered.append(f"  workflows/{name}: {spans(missed)}")
    print(f"\n{'file':44} {'lines':>6} {'run':>6} {'%':>7}")
    for name, all_of, ran in rows + [(name, *have) for name, have in sorted(totals.items())]:
        print(f"{name:44} {all_of:6} {ran:6} {100 * ran / all_of:7.2f}")
    print("\nlines that no test runs:", *(uncovered or ["  none"]), sep="\n")
    low = [name for name, (all_of, ran) in totals.items() if 100 * ran / all_of < LEAST]
    if not totals or low:
        print(f"\nbelow {LEAST:.0f} %: {', '.join(sorted(low)) or 'nothing was measured'}")
        sys.exit(1)


main()
