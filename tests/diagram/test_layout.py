"""What holds for the diagram of every definition."""

from itertools import pairwise
from time import process_time

from hypothesis import HealthCheck, Phase, given, settings
from tests.diagram.definitions import definition, definitions, plan

from unspool.diagram.layout.geometry import Box, Course, Edge, Layout, Point
from unspool.diagram.layout.lanes import lanes
from unspool.diagram.layout.workflow import layout

generated = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # a smaller example takes minutes to find
)


def within(inner: Box, outer: Box) -> bool:
    return (
        outer.x < inner.x
        and inner.right < outer.right
        and outer.y + outer.header < inner.y
        and inner.bottom < outer.bottom
    )


def apart(one: Box, other: Box) -> bool:
    return one.right <= other.x or other.right <= one.x or one.bottom <= other.y or other.bottom <= one.y


def on_edge_of(point: Point, box: Box) -> bool:
    """Whether a point is on the outline of a box, or of the header of a frame."""
    x, y = point
    across, along = box.x <= x <= box.right, box.y <= y <= box.bottom
    sides = x in {box.x, box.right} and along
    return sides or (across and y in {box.y, box.bottom, box.y + box.header})


@generated
@given(definitions)
def test_each_task_has_one_box(written):
    compiled = plan(written)
    pointers = [box.key for box in layout(compiled).boxes if box.task is not None]
    assert sorted(pointers) == sorted(pointer for pointer in compiled.tasks if pointer)


@generated
@given(definitions)
def test_boxes_do_not_overlap_and_are_in_the_picture(written):
    drawn = layout(plan(written))
    for place, box in enumerate(drawn.boxes):
        assert 0 < box.x < box.right < drawn.width
        assert 0 < box.y < box.bottom < drawn.height
        for other in drawn.boxes[:place]:
            assert apart(box, other) or (other.header and within(box, other)), (box.key, other.key)


@generated
@given(definitions)
def test_edges_are_straight_and_end_at_their_boxes(written):
    drawn = layout(plan(written))
    boxes = {box.key: box for box in drawn.boxes}
    assert len(boxes) == len(drawn.boxes)
    for edge in drawn.edges:
        assert on_edge_of(edge.points[0], boxes[edge.source]), edge
        assert on_edge_of(edge.points[-1], boxes[edge.target]), edge
        assert len(edge.points) >= 2
        for start, end in pairwise(edge.points):
            assert (start[0] == end[0]) != (start[1] == end[1]), edge
        assert all(0 < x < drawn.width and 0 < y < drawn.height for x, y in edge.points)


@generated
@given(definitions)
def test_edges_do_not_cross_boxes_of_tasks(written):
    drawn = layout(plan(written))
    leaves = [box for box in drawn.boxes if not box.header]
    for edge in drawn.edges:
        for start, end in pairwise(edge.points):
            for box in leaves:
                assert not crosses(start, end, box), (edge, box.key)


def crosses(start: Point, end: Point, box: Box) -> bool:
    left, right = sorted((start[0], end[0]))
    top, bottom = sorted((start[1], end[1]))
    return left < box.right and right > box.x and top < box.bottom and bottom > box.y


@generated
@given(definitions)
def test_the_end_can_be_reached_as_the_plan_says(written):
    """Each flow directive of a task is an edge from its box."""
    compiled = plan(written)
    drawn = layout(compiled)
    for box in drawn.boxes:
        if box.task is None:
            continue
        leaving = [edge for edge in drawn.edges if edge.source == box.key and not _enters(edge, box)]
        skips = [edge for edge in leaving if edge.course is Course.SKIP]
        if box.task.kind == "raise" and "if" not in compiled.tasks[box.key].definition:
            assert not leaving
        if skips:
            assert "if" in compiled.tasks[box.key].definition


def _enters(edge: Edge, box: Box) -> bool:
    return box.header > 0 and edge.points[0][1] == box.y + box.header


def chain(drawn: Layout) -> list[tuple[str, str, str]]:
    return [(edge.source, edge.target, edge.course) for edge in drawn.edges]


def test_a_column_joins_its_tasks_in_order():
    drawn = layout(plan(definition([{"a": {"set": {"x": 1}}}, {"b": {"wait": "PT1S"}}])))
    assert chain(drawn) == [
        ("#start", "/do/0/a", "next"),
        ("/do/0/a", "/do/1/b", "next"),
        ("/do/1/b", "#end", "next"),
    ]


def test_flow_directives_are_edges_at_the_side():
    drawn = layout(
        plan(
            definition(
                [
                    {"a": {"set": {}, "then": "c"}},
                    {"b": {"set": {}, "if": ".x", "then": "end"}},
                    {"c": {"set": {}, "then": "b"}},
                ]
            )
        )
    )
    assert chain(drawn) == [
        ("#start", "/do/0/a", "next"),
        ("/do/1/b", "/do/2/c", "skip"),
        ("/do/0/a", "/do/2/c", "jump"),
        ("/do/1/b", "#end", "jump"),
        ("/do/2/c", "/do/1/b", "jump"),
    ]


def test_end_inside_a_frame_stops_there_and_exit_leaves_the_list():
    inner = [
        {"a": {"set": {}, "if": ".x", "then": "end"}},
        {"b": {"set": {}, "if": ".y", "then": "exit"}},
        {"c": {"set": {}}},
    ]
    drawn = layout(plan(definition([{"around": {"do": inner}}])))
    edges = chain(drawn)
    around = "/do/0/around"
    assert (f"{around}/do/0/a", f"{around}/do/0/a#stop-then", "jump") in edges
    assert (f"{around}/do/1/b", f"{around}/do#end", "jump") in edges
    assert (f"{around}/do/2/c", f"{around}/do#end", "next") in edges
    assert (f"{around}/do#end", around, "next") in edges


def test_a_try_leads_to_its_catch_and_back():
    task = {
        "try": [{"a": {"set": {}}}],
        "catch": {"retry": {"limit": {"attempt": {"count": 2}}}, "do": [{"b": {"set": {}}}], "then": "later"},
    }
    drawn = layout(plan(definition([{"t": task}, {"now": {"set": {}}}, {"later": {"set": {}}}])))
    edges, catch = chain(drawn), "/do/0/t/catch/do#catch"
    assert ("/do/0/t", catch, "error") in edges
    assert (catch, "/do/0/t/try/0/a", "retry") in edges
    assert (catch, "/do/2/later", "error") in edges
    assert ("/do/0/t", "/do/1/now", "next") in edges


def test_branches_are_beside_each_other():
    branches = [{name: {"set": {}}} for name in "abc"]
    drawn = layout(plan(definition([{"f": {"fork": {"branches": branches}}}])))
    boxes = [box for box in drawn.boxes if box.key.startswith("/do/0/f/fork")]
    assert len({box.y for box in boxes}) == 1
    assert len({box.x for box in boxes}) == 3


def test_lines_at_the_side_do_not_touch():
    spans = [(0, 100), (10, 40), (40, 60), (41, 50), (120, 130), (61, 90)]
    found = lanes(spans, [(0, 50, 200), (60, 140, 300)])
    for place, (top, bottom) in enumerate(spans):
        for other, (other_top, other_bottom) in enumerate(spans[:place]):
            if top <= other_bottom and other_top <= bottom:
                assert found[place] != found[other]
    assert min(found) > 300


def test_the_time_is_linear_in_the_number_of_tasks():
    """A tenfold definition takes about tenfold; quadratic work would take a hundredfold."""

    def seconds(count: int) -> float:
        jumps = [{f"t{n}": {"set": {}, "then": f"t{(n * 7) % count}"}} for n in range(count)]
        compiled = plan(definition([*jumps, {"f": {"fork": {"branches": jumps}}}]))
        best = 1e9
        for _ in range(3):
            begun = process_time()
            layout(compiled)
            best = min(best, process_time() - begun)
        return best

    assert seconds(2000) < 60 * seconds(200)
