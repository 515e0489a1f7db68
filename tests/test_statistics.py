"""The simulation behind docs/design/0024-statistics.md still runs, on so few samples that only gross faults show."""

from benchmarks.statistics import measure


def test_the_simulation_finds_nothing_grossly_wrong() -> None:
    found = measure(400)
    rows = [row for kind in found["coverage"].values() for row in kind.values()]
    shares = [share for row in rows for share in row.values()]
    assert len(shares) > 150 and sum(shares) / len(shares) > 0.94
    assert found["false_alarm_table"] < 0.4
    assert all(one["power_at_detectable"] > 0.3 for one in found["power"].values())
