"""The outline of a plan: what a diagram shows, as text, before anything has a place.

It has the structure of the definition: tasks, and the lists of tasks in them.
"""
