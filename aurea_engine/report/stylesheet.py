"""The style of a page: light and dark, from a phone to a wide screen, and on paper. It is in the page itself."""

from __future__ import annotations

import base64
import hashlib

LIGHT = """
--paper:#fff;--ink:#1b1f24;--quiet:#5b6570;--line:#e4e7eb;--axis:#9aa3ad;--wash:#f5f7f9;
--blue:#1f5fa8;--teal:#0f7b7b;--orange:#b4560d;--red:#b3261e;--green:#19713f;--amber:#8a5a00;
--good:#e4f3ea;--care:#fbf0d9;--bad:#fbe6e4;
"""

DARK = """
--paper:#14171b;--ink:#e6e9ed;--quiet:#9aa5b1;--line:#2a3038;--axis:#5d6772;--wash:#1b2026;
--blue:#7db4f0;--teal:#5cc7c4;--orange:#f0a35e;--red:#ff9288;--green:#6fcb97;--amber:#e5b651;
--good:#173226;--care:#3a2e12;--bad:#43201d;
"""

RULES = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;max-width:96rem;padding:2rem clamp(1rem,4vw,3.5rem) 3rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
h1{font-size:1.75rem;line-height:1.2;margin:.1rem 0 .4rem;font-weight:650;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.6rem 0 .8rem;padding-top:.9rem;border-top:1px solid var(--line);font-weight:650}
h3{font-size:.95rem;margin:0;font-weight:650}
section>h3{margin:1.4rem 0 .4rem}
p{margin:.3rem 0;max-width:75ch;overflow-wrap:anywhere}
a{color:var(--blue)}
small{display:block;color:var(--quiet);font-size:.85em;font-weight:400}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.87em}
.quiet,.eyebrow{color:var(--quiet)}
header p{max-width:none}
.eyebrow{font-size:.85rem;margin:0}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.badge{display:inline-block;padding:.05em .6em;border-radius:1em;font-weight:600;font-size:.9em;white-space:nowrap;
background:var(--wash);color:var(--quiet)}
.badge.valid,.badge.met,.badge.same,.badge.better{background:var(--good);color:var(--green)}
.badge.degraded,.badge.inconclusive{background:var(--care);color:var(--amber)}
.badge.invalid,.badge.missed,.badge.worse{background:var(--bad);color:var(--red)}
.key-figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));margin:1.4rem 0 0;
border:1px solid var(--line);border-radius:8px;overflow:hidden}
.key-figures div{box-shadow:0 0 0 1px var(--line);padding:.8rem 1rem}
.key-figures dt{color:var(--quiet);font-size:.85rem}
.key-figures dd{margin:0}
.key-figures .large{font-size:1.5rem;font-weight:650;line-height:1.3;letter-spacing:-.01em}
.key-figures .more{color:var(--quiet);font-size:.85rem}
data{white-space:nowrap}
.scroll{overflow-x:auto;position:relative}
table{border-collapse:collapse;font-size:.92rem;min-width:min(100%,34rem)}
th,td{text-align:left;padding:.35rem 1.4rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top;font-weight:400}
thead th{color:var(--quiet);font-size:.85rem;white-space:nowrap;vertical-align:bottom}
tbody th{min-width:8rem}
.figure{text-align:right;white-space:nowrap}
th:last-child,td:last-child{padding-right:0}
ul.facts{list-style:none;padding:0;margin:.7rem 0;display:flex;flex-wrap:wrap;gap:.2rem 2rem}
ol.findings{padding-left:1.6rem;margin:0}
ol.findings li{margin:0 0 1rem}
.advice{color:var(--quiet)}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.4rem;margin:0;font-size:.92rem}
dl.facts dt{color:var(--quiet)}
dl.facts dd{margin:0;overflow-wrap:anywhere}
pre{background:var(--wash);border:1px solid var(--line);border-radius:8px;padding:1rem;overflow:auto;max-height:34rem}
details summary{cursor:pointer;color:var(--blue);margin:.6rem 0}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,34rem),1fr));gap:1.8rem 2.6rem}
figure{margin:0;min-width:0;break-inside:avoid;display:flex;flex-direction:column}
.charts figure:last-child:nth-child(odd){grid-column:1/-1}
figcaption{margin-bottom:.5rem}
figcaption p{color:var(--quiet);font-size:.87rem;min-height:1.5em}
.plot{display:block;width:100%;margin-top:auto;padding:12px 84px 30px 58px;overflow:visible}
.plot.flush{padding-right:18px}
#shift-chart .plot{padding-left:84px}
.plot text{font-size:11.5px;fill:var(--quiet)}
.curves{overflow:visible}
.grid{stroke:var(--line);stroke-width:1}
.axis{stroke:var(--axis);stroke-width:1}
.plot .end{text-anchor:end}
.plot .middle{text-anchor:middle}
.curve{fill:none;stroke:var(--blue);stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
.plot .label{font-weight:600;fill:var(--blue);stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}
.band{fill:var(--blue);fill-opacity:.1}
.band.inner{fill-opacity:.16}
.curve.p90,.curve.p99{stroke-width:1;stroke-opacity:.75}
.curve.p50{stroke-width:2}
.curve.offered{stroke:var(--axis);stroke-width:3.4}
.plot .label.offered,.plot .label.quiet,.plot .label.quantile,.plot .label.value{fill:var(--quiet)}
.curve.failed,.curve.lag{stroke:var(--red)}
.plot .label.failed,.plot .label.lag,.plot .label.objective{fill:var(--red)}
.curve.rejected,.curve.waiting{stroke:var(--orange)}
.plot .label.rejected,.plot .label.waiting{fill:var(--orange)}
.curve.left{stroke:var(--teal)}
.plot .label.left{fill:var(--teal)}
.curve.two{stroke:var(--orange)}
.plot .label.two{fill:var(--orange)}
.curve.three{stroke:var(--teal)}
.plot .label.three{fill:var(--teal)}
.curve.four{stroke:var(--red)}
.plot .label.four{fill:var(--red)}
.curve.five{stroke:var(--green)}
.plot .label.five{fill:var(--green)}
.curve.six{stroke:var(--amber)}
.plot .label.six{fill:var(--amber)}
.curve.money{stroke:var(--green)}
.plot .label.money{fill:var(--green)}
.rule{stroke:var(--axis);stroke-width:1;stroke-dasharray:4 3}
.rule.objective,.rule.bound{stroke:var(--red);stroke-dasharray:5 3;stroke-width:1.3}
.rule.bound{stroke:var(--ink);stroke-dasharray:none;stroke-width:1.6}
.rule.finding{stroke:var(--amber);stroke-dasharray:none}
.mark{fill:var(--amber)}
.plot .mark-number{fill:var(--paper);font-weight:700;text-anchor:middle}
.warmup{fill:var(--quiet);fill-opacity:.09}
.bars{fill:var(--blue);fill-opacity:.75}
.curve.service{stroke:var(--teal);stroke-width:1.3;stroke-dasharray:5 3}
.curve.theory{stroke:var(--orange);stroke-width:4;stroke-opacity:.45}
.dot{fill:var(--blue)}
.interval{fill:var(--axis);fill-opacity:.5}
.interval.met,.dot.met,.interval.same,.dot.same,.interval.better,.dot.better{fill:var(--green)}
.interval.missed,.dot.missed,.interval.worse,.dot.worse{fill:var(--red)}
.interval.inconclusive,.dot.inconclusive{fill:var(--amber)}
.dot.trial.missed{fill:var(--paper);stroke:var(--red);stroke-width:2.2}
.interval{fill-opacity:.35}
.interval-chart{display:block;overflow:visible}
.key{white-space:nowrap;margin-right:.8rem}
.key::before{content:"";display:inline-block;width:1.4em;height:0;margin-right:.4em;vertical-align:.28em;
border-top:2px solid var(--blue)}
.key.service::before{border-top:2px dashed var(--teal)}
.key.theory::before{border-top:4px solid var(--orange);opacity:.5}
.heat-1{fill:var(--blue);fill-opacity:.1}
.heat-2{fill:var(--blue);fill-opacity:.24}
.heat-3{fill:var(--blue);fill-opacity:.4}
.heat-4{fill:var(--blue);fill-opacity:.58}
.heat-5{fill:var(--blue);fill-opacity:.78}
.heat-6{fill:var(--blue)}
footer{margin-top:3rem;padding-top:.9rem;border-top:1px solid var(--line);color:var(--quiet);font-size:.85rem}
@media (max-width:40rem){
body{padding-top:1.2rem}
h1{font-size:1.4rem}
.plot{padding-left:50px;padding-right:66px}
.spare{display:none}
th,td{padding-right:1rem}
.key-figures{grid-template-columns:1fr 1fr}
.key-figures div:last-child:nth-child(odd){grid-column:1/-1}
.key-figures .large{font-size:1.2rem}
dl.facts{grid-template-columns:1fr}
dl.facts dd{margin-bottom:.4rem}
}
@media print{
@page{margin:14mm}
body{max-width:none;padding:0;font-size:10pt}
a{color:inherit;text-decoration:none}
pre{max-height:none;white-space:pre-wrap;overflow-wrap:anywhere;border:0;padding:0;background:none}
details{display:none}
.charts{grid-template-columns:1fr 1fr;gap:1rem 1.4rem}
.key-figures{grid-template-columns:repeat(5,1fr)}
.key-figures .large{font-size:1.15rem}
.plot,.badge,.key-figures{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.scroll{overflow:visible}
tr,li,.key-figures{break-inside:avoid}
h2,h3{break-after:avoid}
}
"""

# Three sets of colours under the same names. Paper is light whatever the screen is.
STYLESHEET = (
    f":root{{color-scheme:light dark;{LIGHT}}}@media (prefers-color-scheme:dark){{:root{{{DARK}}}}}"
    f"@media print{{:root{{color-scheme:light;{LIGHT}}}}}{RULES}"
)

POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLESHEET.encode()).digest()).decode()}'"
)
"""What a browser may do with a page: apply this style, and nothing else. It stands in the page, and servers send it, too."""
