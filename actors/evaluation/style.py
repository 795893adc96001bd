"""How the page looks: light, on a laptop, a phone and paper."""

from __future__ import annotations

from typing import Final

CSS: Final = """
:root { color-scheme: light; --ink: #111827; --soft: #4b5563; --line: #d1d5db; --paper: #fff; --shade: #f3f4f6; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem 1.25rem 3rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0 1rem; }
h2 { font-size: 1.3rem; margin: 2.25rem 0 .5rem; border-top: 1px solid var(--line); padding-top: 1rem; }
h3 { font-size: 1.05rem; margin: 1.25rem 0 .35rem; }
p, li { max-width: 70ch; }
.note { color: var(--soft); font-size: .9rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; margin: 1rem 0; padding: 0; }
a { color: #0b57b5; }
.verdict { border: 1px solid var(--line); border-left: .4rem solid #6b7280; border-radius: .3rem; margin: 0 0 1rem;
  padding: .75rem 1rem; }
.verdict.yes { border-left-color: #15803d; }
.verdict.no { border-left-color: #b91c1c; }
.verdict h2 { border: 0; margin: 0; padding: 0; font-size: 1.15rem; }
.verdict ul { margin: .5rem 0 0; padding-left: 1.2rem; }
.verdict p { margin: .25rem 0; }
.verdict li { max-width: none; }
.plots { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem 2rem; }
figure { margin: 0; max-width: 34rem; }
figcaption { font-weight: 600; }
figure svg { display: block; height: auto; width: 100%; }
figure details { color: var(--soft); font-size: .85rem; }
.table { overflow-x: auto; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
caption { font-weight: 600; padding: .25rem 0; text-align: left; white-space: nowrap; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 9rem; max-width: 22rem; }
thead th { background: var(--shade); vertical-align: bottom; }
tbody th { font-weight: 400; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  body { padding: .75rem .85rem 2rem; }
  .plots { grid-template-columns: minmax(0, 1fr); }
  tbody th { background: var(--paper); left: 0; position: sticky; }
  th:first-child { min-width: 7.5rem; max-width: 9rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .4rem; }
}
@media print {
  body { font-size: 10pt; max-width: none; padding: 0; }
  nav, figure details { display: none; }
  .table { overflow: visible; }
  table { font-size: 7.5pt; }
  th, td { padding: .15rem .3rem; }
  .verdict, figure, tr { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
  a { color: inherit; text-decoration: none; }
}
@page { margin: 15mm; }
"""
