"""`unspool graph`."""

from pathlib import Path
from xml.etree import ElementTree

EXAMPLES = Path(__file__).parents[2] / "examples"

ORDER = """\
examples/order-fulfilment 1.0.0  Order fulfilment
●
├─ fulfil  try
│  ├─ reserveStock  call http  POST {…}/reservations
│  ├─ charge  try
│  │  ├─ takePayment  call http  POST {…}/payments
│  │  └─ (catch)  503  retry 6 times, after 200 ms, exponential
│  ├─ notify  fork
│  │  ╞═ notifyCustomer  call http  POST {…}/messages/customer
│  │  ╘═ notifyWarehouse  call http  POST {…}/messages/warehouse
│  ├─ waitForSettlement  wait  500 ms
│  ├─ getPayment  call http  GET {…}/payments/{…}
│  ├─ checkPayment  switch
│  │     settled: .status == "settled" → ship
│  │     anythingElse: default → refuse
│  ├─ refuse  raise  payment-not-settled 409
│  ├─ ship  call http  POST {…}/shipments
│  └─ (catch)  all errors
│     ├─ undo  try
│     │  ├─ refund  call http  DELETE {…}/payments/{…}
│     │  │     if $context.payment != null
│     │  ├─ releaseStock  call http  DELETE {…}/reservations/{…}
│     │  │     if $context.reservation != null
│     │  └─ (catch)  503  retry 6 times, after 200 ms, exponential
│     └─ reportCancelled  set  order, status, reason
◉
"""


def test_a_definition_is_drawn_as_text(unspool):
    result = unspool("graph", str(EXAMPLES / "order-fulfilment.yaml"), "--ascii")
    assert (result.code, result.stdout) == (0, ORDER)


def test_without_a_terminal_it_is_an_svg(unspool):
    result = unspool("graph", "greet.yaml")
    assert result.code == 0
    assert 'data-pointer="/do/0/hello"' in result.stdout
    assert result.stdout == unspool("graph", "greet.yaml", "--svg").stdout
    ElementTree.fromstring(result.stdout)


def test_a_deployed_definition_is_drawn_as_mermaid(unspool):
    unspool("deploy", "greet.yaml", "--store", "sqlite:///graph.db")
    for name in ("shop/greet", "shop/greet:1.0.0"):
        result = unspool("graph", name, "--mermaid", "--store", "sqlite:///graph.db")
        assert result.stdout.splitlines() == [
            "flowchart TD",
            '  n0(("start"))',
            '  n1["hello<br/>set greeting"]',
            '  n2((("end")))',
            "  n0 --> n1",
            "  n1 --> n2",
        ]


def test_what_cannot_be_drawn_is_2(unspool):
    assert unspool("graph", "invalid.yaml").code == 2
    assert unspool("graph", "missing.yaml").code == 2
    result = unspool("graph", "shop/none", "--store", "sqlite:///graph.db")
    assert result.code == 2
    assert "is not deployed" in result.stderr


def test_the_states_of_an_execution_are_shown(unspool):
    unspool("run", "refuse.yaml", "--store", "sqlite:///graph.db")
    [execution] = unspool("executions", "list", "--json", "--store", "sqlite:///graph.db").lines
    of = ("graph", "--execution", execution["id"], "--store", "sqlite:///graph.db")
    assert "refuse  raise  refused 409  [faulted]" in unspool(*of, "--ascii").stdout
    assert "[" not in unspool(*of, "--ascii", "--at", "1").stdout
    assert "is-faulted" in unspool(*of).stdout
    assert "class n1 faulted" in unspool(*of, "--mermaid").stdout
    assert unspool(*of, "--at", "99").code == 2
    assert unspool("graph").code == 2
    assert unspool("graph", "greet.yaml", "--at", "1").code == 2
