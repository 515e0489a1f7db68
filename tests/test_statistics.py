"""The simulation behind docs/design/0024-statistics.md still runs, on so few samples that only gross faults show."""

from benchmarks.statistics import measure


def test_the_simulation_finds_nothing_grossly_wrong() -> None:
    found = measure(400)
    for what, fewest in (("coverage", 170), ("shown", 150)):
        rows = [row for kind in found[what].values() for row in kind.values()]
        shares = [share for row in rows for share in row.values() if share is not None]
        assert len(shares) > fewest and sum(shares) / len(shares) > 0.94
    assert min(min(row.values()) for row in found["told"]["sums"].values()) < 0.2
    assert found["false_alarm_table"] < 0.4
    assert all(one["power_at_detectable"] > 0.3 for one in found["power"].values())
