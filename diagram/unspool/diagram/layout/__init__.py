"""The layout of a diagram: where its boxes and edges are, in pixels.

The DSL is structured in blocks, so the layout is, too: a list is a column, the branches of a `fork` are
columns beside each other, a task with lists is a frame around them. A flow directive that leads elsewhere is
an edge at the side of its column. Each part is laid out once, so the time is linear in the number of tasks.
"""
