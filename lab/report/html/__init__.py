"""Pages: what a report says, drawn: one file for a failure and one for a hunt, which load nothing from anywhere.

A page is made of plain values (`contents.py`), so that they may come from another process; what is drawn of them is
computed beside (`lanes.py`, `circles.py`, `side_by_side.py`, …), and `render.py` alone knows the templates. Jinja2 and
Pygments are loaded when a page is written. Text of the user's reaches a page as text only: the templates escape it, and
the script sets `textContent`.

May import: errors, scenario, model, analysis, checkers.
"""
