"""Write docs/score.svg, the README's picture, from what the command line prints: python tools/write_score_svg.py"""

import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
COMMAND = ["score", "examples/"]


def main() -> None:
    """Run the command in the repository, and draw its output as a terminal would show it."""
    program = [sys.executable, "-m", "cameraborn"]
    done = subprocess.run([*program, *COMMAND], cwd=ROOT, capture_output=True, text=True, check=True)
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ cameraborn " + " ".join(COMMAND), style="bold"))
    for line in (done.stdout + done.stderr).splitlines():
        text = Text(line)
        text.highlight_regex("^FLAGGED", "bold red")  # as on a terminal
        console.print(text, soft_wrap=True)
    svg = console.export_svg(title="cameraborn", unique_id="score")
    # The fonts would be fetched from elsewhere whenever somebody looks at the picture.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    (ROOT / "docs" / "score.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
