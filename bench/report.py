"""Formats results as Markdown tables: medians, ratios, and their spread over the rounds."""

import statistics


def number(value):
    if value is None:
        return "–"
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def spread(values):
    """Formats values as "median (min to max)"."""
    if not values:
        return "–"
    if len(values) == 1:
        return number(values[0])
    return f"{number(statistics.median(values))} ({number(min(values))} to {number(max(values))})"


def median(rounds, key):
    values = [one[key] for one in rounds if key in one]
    return statistics.median(values) if values else None


def ratios(ours, theirs):
    """Ratios are taken per round, because both sides of a round ran under the same conditions."""
    return [a["per_second"] / b["per_second"] for a, b in zip(ours, theirs) if b["per_second"] > 0]


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def comparison_table(result):
    rows = []
    for line in result["lines"]:
        ours = line["measured"].get("locker", [])
        for name, rounds in line["measured"].items():
            facts = result["servers"][name]
            failure = line["failures"].get(name)
            if failure:
                rows.append([line["text"], name, "failed: " + failure, *["–"] * 6])
                continue
            alike = line["measured"].get(facts["like"], []) if facts["like"] != "locker" else []
            rows.append([
                line["text"], name, spread([one["per_second"] for one in rounds]),
                "" if name == "locker" else spread(ratios(ours, rounds)),
                "" if name == facts["like"] or not alike else spread(ratios(alike, rounds)),
                *(number(median(rounds, key)) for key in ("p50_ms", "p99_ms", "max_ms")),
                number(median(rounds, "client_cpu"))])
    for name, facts in result["servers"].items():
        if facts["failure"]:
            rows.append(["all", name, "not measured: " + facts["failure"], *["–"] * 6])
    return table(["", "server", "a second", "Locker is so many times as fast",
                  "Locker of the same durability", "p50 ms", "p99 ms", "max ms",
                  "client, cores"], rows)


def summary_table(results):
    """Tabulates every ratio to Locker with durability `always`."""
    comparisons = [result for result in results if result["kind"] == "comparison"]
    names = list(dict.fromkeys(name for result in comparisons for name in result["servers"]
                               if name != "locker"))
    if not names:
        return ""
    rows = []
    for result in comparisons:
        for line in result["lines"]:
            ours = line["measured"].get("locker", [])
            rows.append([f"{result['name']}, {line['text']}",
                         number(median(ours, "per_second")),
                         *(cell(result, line, ours, name) for name in names)])
    return ("## Locker is so many times as fast as\n\nMedian of the rounds (least to most). "
            "`locker` is durable; what a power cut takes from the others is in the table above."
            "\n\n" +
            table(["", "locker, a second", *names], rows))


def cell(result, line, ours, name):
    if result["servers"].get(name, {}).get("failure"):
        return "not measured"
    if name in line["failures"]:
        return "failed"
    return spread(ratios(ours, line["measured"].get(name, []))) if name in line["measured"] else ""


def servers_table(results):
    servers = {}
    for result in results:
        servers.update(result.get("servers", {}))
    if not servers:
        return ""
    rows = [[name, facts["what"], facts["loses"]] for name, facts in servers.items()]
    return table(["server", "how it is asked", "a power cut takes"], rows) + "\n"


def figures_table(result):
    rows = []
    for figure in result["figures"]:
        value = figure.get("failure") or spread(figure["values"])
        rows.append([figure["what"], value, figure["unit"]])
    return table(["", "median (min to max)", ""], rows)


def report(results, machine):
    parts = ["# Side by side\n", "\n".join(f"- {name}: {value}" for name, value in machine.items()),
             "", servers_table(results), summary_table(results)]
    for result in results:
        make = comparison_table if result["kind"] == "comparison" else figures_table
        parts += [f"## {result['title']}\n", result["explanation"] + "\n", make(result)]
        parts += [f"![{picture}]({picture})\n" for picture in result.get("pictures", [])]
    return "\n".join(parts)
