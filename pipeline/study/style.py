"""How `report.html` looks, on paper and in the dark, wide and on a phone."""

from __future__ import annotations

from irn_video.pipeline.study.drawing import DARK_COLOURS
from irn_video.pipeline.study.plots import series_class
from irn_video.pipeline.study.showing import MOST_SERIES

_SWITCHES = "\n".join(
    f".plot:has(input.{name}:not(:checked)) svg .{name} {{ display: none; }}"
    for name in map(series_class, range(MOST_SERIES))
)
CSS = f"""
:root {{ color-scheme: light dark; --paper: #ffffff; --ink: #222222; --faint: #666666; --line: #8884;
  --good: #0a7d4f; --bad: #c0392b; --raised: #f6f6f6; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --paper: #16181b; --ink: #dddddd; --faint: #9a9a9a; --good: #3fc98c; --bad: #ff7b6b; --raised: #202327;
    {DARK_COLOURS} }}
}}
* {{ box-sizing: border-box; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem;
  background: var(--paper); color: var(--ink); overflow-wrap: break-word; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.15rem; margin-top: 2.2rem; }} h3 {{ font-size: 1rem; }}
table {{ border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }}
td, th {{ padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }}
th {{ white-space: normal; vertical-align: bottom; }}
td:first-child, th:first-child {{ text-align: left; position: sticky; left: 0; background: var(--paper); }}
table.facts td:last-child {{ white-space: normal; text-align: left; overflow-wrap: anywhere; }}
tr.mean td {{ font-weight: 600; border-top: 2px solid var(--line); }}
.good {{ color: var(--good); }} .bad {{ color: var(--bad); }}
details {{ margin: .4rem 0; }} summary {{ cursor: pointer; }}
ul.verdict {{ font-size: 1.05rem; padding-left: 1.2rem; }}
small, .note {{ color: var(--faint); }}
pre, .scroll {{ overflow-x: auto; max-width: 100%; }} pre {{ background: var(--raised); padding: .6rem; }}
figure {{ margin: 0; min-width: 0; }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); gap: 1.4rem; }}
.plot figcaption {{ font-weight: 600; }}
.plot svg {{ width: 100%; height: auto; display: block; overflow: visible; margin-top: -.9rem; }}
.plot svg .patch_1, .plot svg .title, .plot svg .legend {{ display: none; }}
.plot svg .axes_1 > .patch_2 {{ display: none; }}
.keys {{ display: flex; flex-wrap: wrap; gap: .1rem .9rem; font-size: .85rem; }}
.keys label {{ cursor: pointer; display: inline-flex; align-items: center; gap: .35rem; padding: .15rem 0; }}
.keys i {{ width: 1.3rem; }}
.keys label:has(input:not(:checked)) {{ color: var(--faint); text-decoration: line-through; }}
.keys input {{ margin: 0; }}
.row {{ display: flex; flex-wrap: wrap; gap: .8rem; }} .row figure {{ width: 256px; }}
.crops input {{ width: 20rem; max-width: 100%; }}
.pair {{ position: relative; width: 256px; height: 256px; max-width: 100%; margin-bottom: .5rem; }}
.pair > * {{ position: absolute; inset: 0; width: 100%; height: 100%; object-fit: cover; object-position: 0 0; }}
.pair img {{ image-rendering: pixelated; border-radius: 4px; }}
.pair .source {{ z-index: 1; clip-path: inset(0 calc(100% - var(--x)) 0 0); }}
@media (max-width: 600px) {{
  td, th {{ padding: .25rem .4rem; font-size: .85rem; }}
  td:first-child {{ white-space: normal; min-width: 7.5rem; max-width: 9rem; overflow-wrap: anywhere; }}
}}
{_SWITCHES}
"""
