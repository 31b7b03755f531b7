"""Draws the rooms of the house from what their modules import, as Mermaid text, into docs/architecture.md.

`make architecture` does it; tests/unit/test_architecture.py notices a picture that is out of date. An arrow that a
longer way says too is left out: what a room may use is everything that arrows lead to from it.
"""

from __future__ import annotations

import re
import sys

from rooms import MODULES, ROOT, imports, room_of

PAGE = ROOT / "docs" / "architecture.md"
PICTURES = {
    "product": ("datasets", "provider", "sensors"),
    "emulator": ("emulator",),
}
BARE = {"provider", "emulator"}
"""Packages' own `__init__`, no rooms."""


def graph(houses: tuple[str, ...]) -> dict[str, set[str]]:
    """Return which rooms each room uses."""
    used: dict[str, set[str]] = {}
    for name, path in MODULES.items():
        if name.split(".")[0] in houses and room_of(name) not in BARE:
            used.setdefault(room_of(name), set()).update(room_of(other) for other in imports(path))
    return {room: others - {room} - BARE for room, others in used.items()}


def reachable(used: dict[str, set[str]], room: str) -> set[str]:
    """Return the rooms that are used by a room, directly or through others."""
    found: set[str] = set()
    ahead = [room]
    while ahead:
        new = used.get(ahead.pop(), set()) - found
        found |= new
        ahead.extend(new)
    return found


def shortened(used: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the same without arrows that a longer way says too; rooms that use each other keep theirs."""
    return {
        room: {
            other
            for other in others
            if not any(other in reachable(used, way) and way not in reachable(used, other) for way in others - {other})
        }
        for room, others in used.items()
    }


def draw(houses: tuple[str, ...]) -> str:
    """Return the Mermaid text of a picture: folders are boxes, modules that stand alone are rounded."""
    arrows = shortened(graph(houses))
    lines = ["```mermaid", "flowchart TD"]
    for room in sorted(arrows):
        folder = (ROOT / room.replace(".", "/")).is_dir()
        label = room.replace(".", "/") + ("/" if folder else ".py")
        lines.append(f"    {room}{f'[{label}]' if folder else f'({label})'}")
    for room in sorted(arrows):
        lines += [f"    {room} --> {other}" for other in sorted(arrows[room])]
    return "\n".join([*lines, "```"])


def page(text: str) -> str:
    """Return the page with its pictures drawn anew."""
    for name, houses in PICTURES.items():
        place = re.compile(f"(<!-- drawn: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        assert place.search(text), f"{PAGE} has no place for the picture of the {name}"
        text = place.sub(lambda match, houses=houses: f"{match[1]}{draw(houses)}\n{match[2]}", text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    sys.exit(0)
