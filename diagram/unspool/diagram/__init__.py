"""Diagrams of definitions: as SVG, as Mermaid text and as plain text, with the state of an execution.

    plan -> outline: what is drawn, as text -> plain text (`plain_text.py`)
         -> layout: where it is, in pixels  -> SVG (`svg.py`), Mermaid (`mermaid.py`)

All of it is pure.
"""
