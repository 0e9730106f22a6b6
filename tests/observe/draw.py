"""Draws a dashboard as SVG from the data of its queries. It is a drawing of the panels' queries, not Grafana."""
import time
from html import escape

WIDTH, COLUMN, ROW, GAP, HEAD = 1440, 60, 36, 8, 44
COLOURS = ["#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642", "#cca300", "#447ebc", "#c15c17"]
NAMED = {"green": "#56a64b", "red": "#e02f44"}


def short(value, unit):
    """A value as people read it."""
    if unit == "s":
        if value >= 3600:
            return f"{value / 3600:.1f} h"
        if value >= 60:
            return f"{value / 60:.1f} min"
        return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"
    if unit == "dateTimeAsLocal":
        return time.strftime("%Y-%m-%d %H:%M", time.gmtime(value / 1000))
    if unit in ("bytes", "Bps"):
        end = "/s" if unit == "Bps" else ""
        for prefix in ("", "Ki", "Mi"):
            if value < 1024:
                return f"{value:.3g} {prefix}B{end}"
            value /= 1024
        return f"{value:.3g} GiB{end}"
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    end = {"pps": " p/s", "cps": "/s", "reqps": " req/s", "ops": "/s", "cpm": "/min"}.get(unit, "")
    number = f"{value:.0f}" if abs(value - round(value)) < 1e-9 else f"{value:.3g}"
    return number + end


def legend(target, labels):
    text = target.get("legendFormat", "")
    if text in ("", "__auto"):
        return ", ".join(value for name, value in labels.items() if name != "__name__")
    for name, value in labels.items():
        text = text.replace("{{%s}}" % name, value)
    return text


def text(x, y, content, size=12, colour="#c7d0d9", anchor="start", weight="normal"):
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{escape(content)}</text>'


def board(dashboard, start, path):
    """Writes the drawing."""
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    height = HEAD + bottom * ROW + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="DejaVu Sans, sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#111217"/>',
        text(12, 29, dashboard["title"], 18, "#fff", weight="bold"),
    ]
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        x, y = place["x"] * COLUMN + GAP / 2, HEAD + place["y"] * ROW + GAP / 2
        w, h = place["w"] * COLUMN - GAP, place["h"] * ROW - GAP
        if panel["type"] == "row":
            parts.append(text(x + 8, y + 20, panel["title"], 14, "#fff", weight="bold"))
            continue
        parts.append(f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="3" fill="#181b1f" stroke="#2c3235"/>')
        parts.append(text(x + 10, y + 18, panel["title"], 12, "#d8d9da", weight="bold"))
        kind = {"stat": stat, "table": table, "state-timeline": timeline}.get(panel["type"], graph)
        parts += kind(panel, x, y + 26, w, h - 30, start)
    parts.append(text(12, height - 8, "Drawn by tests/observe from the data that a real Prometheus returned for the panels' queries; this is not Grafana.", 11, "#6e7781"))
    parts.append("</svg>\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts))


def stat(panel, x, y, w, h, _):
    series = panel["data"][0]
    value = series[0]["points"][-1][1] if series else float("nan")
    defaults, colour = panel["fieldConfig"]["defaults"], NAMED["green"]
    for step in defaults.get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            colour = NAMED.get(step["color"], colour)
    words = {key: option["text"] for mapping in defaults.get("mappings", []) for key, option in mapping["options"].items()}
    shown = words.get(f"{value:.0f}") or short(value, defaults["unit"]) if series else "No data"
    return [text(x + w / 2, y + h / 2 + 12, shown, 30 if len(shown) < 9 else 22, colour, "middle", "bold")]


def graph(panel, x, y, w, h, start):
    lines = [(legend(target, one["labels"]), one["points"]) for target, series in zip(panel["targets"], panel["data"]) for one in series]
    lines.sort(key=lambda line: -max(value for _, value in line[1]))
    unit, stacked = panel["fieldConfig"]["defaults"]["unit"], "stacking" in panel["fieldConfig"]["defaults"].get("custom", {})
    shown, below = lines[:10], 34
    left, top, width, height = x + 64, y + 4, w - 76, h - below - 12
    end = max((points[-1][0] for _, points in lines), default=start + 1)
    base, areas = {}, []
    for name, points in shown:
        if stacked:
            points = [(at, value + base.get(at, 0)) for at, value in points]
            base.update(points)
        areas.append((name, points))
    most = max((value for _, points in areas for _, value in points), default=0) * 1.05 or 1
    parts = []
    for part in (0, 0.5, 1):
        at = top + height * (1 - part)
        parts.append(f'<line x1="{left}" y1="{at:.1f}" x2="{left + width}" y2="{at:.1f}" stroke="#2c3235"/>')
        parts.append(text(left - 6, at + 4, short(most * part, unit), 10, "#8e9aa6", "end"))
    for number, (_, points) in reversed(list(enumerate(areas))):
        colour, path, before = COLOURS[number % len(COLOURS)], [], None
        for at, value in points:
            cell = f"{left + width * (at - start) / max(end - start, 1):.1f},{top + height * (1 - value / most):.1f}"
            path.append(("L" if before is not None and at - before <= 3 else "M") + cell)
            before = at
        parts.append(f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
    at_x, at_y = x + 10, y + h - below + 14
    for number, (name, _) in enumerate(shown):
        wide = 24 + 6.4 * len(name)
        if at_x + wide > x + w - 6:
            at_x, at_y = x + 10, at_y + 14
            if at_y > y + h - 2:
                break
        parts.append(f'<rect x="{at_x:.0f}" y="{at_y - 7:.0f}" width="10" height="4" fill="{COLOURS[number % len(COLOURS)]}"/>')
        parts.append(text(at_x + 14, at_y, name, 10, "#a7b1bb"))
        at_x += wide
    return parts


def timeline(panel, x, y, w, h, start):
    series = panel["data"][0]
    colours = {value: NAMED[option["color"]] for value, option in panel["fieldConfig"]["defaults"]["mappings"][0]["options"].items()}
    end = max((one["points"][-1][0] for one in series), default=start + 1)
    tall = min(40, (h - 20) / max(len(series), 1))
    parts = []
    for number, one in enumerate(series):
        top = y + 8 + number * tall
        parts.append(text(x + 8, top + tall / 2 + 4, legend(panel["targets"][0], one["labels"]), 10, "#a7b1bb"))
        step = (w - 118) / max(end - start, 1)
        for at, value in one["points"]:
            parts.append(f'<rect x="{x + 108 + (at - start) * step:.1f}" y="{top:.0f}" width="{step + 0.5:.2f}" height="{tall - 6:.0f}" fill="{colours[str(int(value))]}"/>')
    return parts


def table(panel, x, y, w, h, _):
    organize = panel["transformations"][1]["options"]
    rows = {}
    for number, series in enumerate(panel["data"]):
        for one in series:
            labels = one["labels"]
            row = rows.setdefault((labels["namespace"], labels["mudgateway"]), {})
            row.update(labels)
            row[f"Value #{chr(65 + number)}"] = one["points"][-1][1]
    columns = [name for name in organize["renameByName"] if not organize["excludeByName"].get(name)]
    units = {override["matcher"]["options"]: property_["value"] for override in panel["fieldConfig"]["overrides"] for property_ in override["properties"] if property_["id"] == "unit"}
    wide, parts = (w - 20) / len(columns), []
    for number, name in enumerate(columns):
        title = organize["renameByName"][name]
        parts.append(text(x + 10 + number * wide, y + 16, title, 11, "#8e9aa6", weight="bold"))
        for line, row in enumerate(rows.values()):
            value = row.get(name, "")
            if title == "Connected":
                value = "yes" if value else "no"
            elif isinstance(value, float):
                value = short(value, units.get(title, "none"))
            colour = {"yes": NAMED["green"], "no": NAMED["red"]}.get(value, "#c7d0d9")
            parts.append(text(x + 10 + number * wide, y + 40 + line * 24, value, 12, colour))
    return parts
