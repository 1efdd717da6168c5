"""A plain HTML page that reads on a phone and in the dark: a heading and a body that was made elsewhere."""

import re
from html import escape

STYLE = """
:root{--paper:#fff;--ink:#1a1a1a;--grey:#6e6e6e;--shade:#9a9a9a;--pale:#c4c4c4;--blue:#0072b2;--red:#d55e00;
--green:#009e73;--line:#ddd;--wash:#f4f6f8}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e8e6e3;--grey:#a2a7ac;--shade:#787f86;
--pale:#545b62;--blue:#56b4e9;--red:#ff9147;--green:#2fc79a;--line:#343a40;--wash:#1d2226}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:56rem;padding:1.5rem 1.1rem 3rem;background:var(--paper);color:var(--ink);
font:1rem/1.55 system-ui,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;overflow-wrap:break-word}
h1{font-size:1.6rem;line-height:1.25;overflow-wrap:anywhere}
h2{margin-top:2.5rem;padding-top:.4rem;border-top:1px solid var(--line);font-size:1.3rem}
table{border-collapse:collapse}
th,td{padding:.3rem 1.1rem .3rem 0;border-bottom:1px solid var(--line);text-align:right;vertical-align:baseline}
pre{padding:.8rem 1rem;background:var(--wash);border-radius:6px;white-space:pre-wrap;overflow-wrap:anywhere;
font:.85rem/1.5 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
.scroll{overflow-x:auto;margin:0 0 1rem}
.scroll:focus-visible{outline:2px solid var(--blue);outline-offset:2px}
.drawn{display:block;max-width:100%;height:auto}
.drawn text{fill:var(--ink);font-family:"DejaVu Sans",Verdana,"Noto Sans",system-ui,sans-serif;white-space:pre}
"""


def plain_page(heading: str, body: str) -> str:
    """The page. Tables and equations of the body scroll alone where the screen is narrow.

    Args:
        heading: the title, as text.
        body: HTML elements.
    """
    count = iter(range(1, body.count("<table>") + body.count("<math>") + 1))

    def scrolling(part: re.Match[str]) -> str:
        what = "Table" if part[0].startswith("<table") else "Formula"
        return f'<div class="scroll" role="region" tabindex="0" aria-label="{what} {next(count)}">{part[0]}</div>'

    body = re.sub(r"<table>.*?</table>", scrolling, body, flags=re.DOTALL)
    body = re.sub(r"<p>(<math>(?:(?!</p>).)*</math>)</p>", lambda found: scrolling(found), body, flags=re.DOTALL)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(heading)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(heading)}</h1>{body}</main></body></html>\n"
    )
