"""RESULTS.md: what `bench SUITE --record` has measured, one section a kind of machine, one part a suite and its options.

A part that is measured again takes the place of the earlier one. The file begins with a table that is made of the parts: a
row each that has a peer, with the ratio to the fastest one and the share of the machine's limit.
"""
import re

TITLE = "# Measured"
INTRODUCTION = """Written by `./tools/dev bench SUITE --record`. A section holds what one kind of machine measured; a suite that is measured there
again, with the same options, takes the place of what stood here. Ratios were taken in one run, turn by turn: the fastest
peer's time over ours. The share is that of what the machine can do at most, where the suite tells it."""
ROW = re.compile(r"^(?P<row>\S.*?) {2,}.*? (?P<ratio>\d+\.\d\d)x.*?(?P<share>\d+) %")
MODEL = re.compile(r"^(?P<row>\S.*?): limit .* reaches (?P<share>\d+) %")
PEER = re.compile(r"^ {2}(?P<peer>\S.*?) {2,}.*? (?P<ratio>\d+\.\d\d)x")
OWN = "ingot"  # how its rows begin, those of other options included


def parse(text):
    """Machines in order, each with its parts: {machine: {title: (when, header, body)}}; `when` is date and commit."""
    machines = {}
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        if "\n### " not in section:
            continue  # the table
        machine, rest = section.split("\n", 1)
        parts = machines.setdefault(machine.strip(), {})
        for part in re.split(r"^### ", rest, flags=re.M)[1:]:
            title, when, header, body = re.match(r"(.*)\n\n(.*)\n\n```\n(.*?)\n```\n\n```\n(.*)\n```\s*$", part, re.S).groups()
            parts[title] = when, header, body
    return machines


def rows(body):
    """(row, ratio, share) of every row of a part that has a peer."""
    found, model = [], None
    for line in body.splitlines():
        if header := MODEL.match(line):
            model = [header["row"], None, header["share"]]
            found.append(model)
        elif row := ROW.match(line):
            found.append([row["row"], float(row["ratio"]), row["share"]])
        elif model and (peer := PEER.match(line)) and not peer["peer"].startswith(OWN):
            model[1] = min(model[1] or float("inf"), float(peer["ratio"]))
    return [tuple(row) for row in found if row[1] is not None]


def table(machines):
    """The rows of all parts, with a column a machine."""
    cells = {}
    for machine, parts in machines.items():
        for title, (when, _, body) in parts.items():
            for row, ratio, share in rows(body):
                cells.setdefault((title.split()[0], row), {}).setdefault(machine, []).append((ratio, share, when))
    lines = ["| suite | row | " + " | ".join(machines) + " |", "|---|---|" + "---|" * len(machines)]
    for (suite, row), of in cells.items():
        # Parts with other peers measured the same row: the fastest of all is what counts.
        least = [min(of[machine]) if machine in of else None for machine in machines]
        lines.append(f"| {suite} | {row} | " + " | ".join(f"{c[0]:.2f}x, {c[1]} % ({c[2]})" if c else "" for c in least) + " |")
    return "\n".join(lines)


def write(machines):
    text = [TITLE, INTRODUCTION, "## Beside the fastest peer\n\n" + table(machines)]
    for machine, parts in machines.items():
        text.append(f"## {machine}")
        text += [f"### {title}\n\n{when}\n\n```\n{header}\n```\n\n```\n{body}\n```" for title, (when, header, body) in parts.items()]
    return "\n\n".join(text) + "\n"


def record(path, machine, title, when, header, body):
    """Puts one part into the file."""
    with open(path, encoding="utf-8") as file:
        machines = parse(file.read())
    machines.setdefault(machine, {})[title] = when, header, body
    with open(path, "w", encoding="utf-8") as file:
        file.write(write(machines))
