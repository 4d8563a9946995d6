"""Forecasts of runs whose seconds are made up: any machine, any entry, any kind of attack, all phases."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.evaluation.forecast import Forecast, Pace, Ratios, alike, effort, kind, seconds_of
from benchmark.evaluation.outlook import Outlook
from benchmark.plan.cells import Cell, Selection, Subject
from benchmark.plan.nearest import is_of_every_eps
from benchmark.plan.suites import SUITES
from benchmark.plan.survival import Survival
from benchmark.protocol import ATTACK_DRAWS, JUDGE_DRAWS, LIBRARIES, standard_attack
from benchmark.records.record import Record
from tests.benchmark.handmade import outcome
from tests.benchmark.synthetic import Clock, measured, ratio_at, simulated
from zoo.targets import Gradient

OTHERS = (("mnist/f", True), ("mnist/other", False), ("mnist/third", True))
SUBJECTS = [
    Subject("mnist/f", "mnist", 10_000, True, others=OTHERS[1:]),
    Subject("mnist/b", "mnist", 10_000, False, others=OTHERS),
    Subject("mnist/g", "mnist", 10_000, True, others=OTHERS),
]
_UNIFORM = [random.Random(position).random() for position in range(1000)]  # of each image
rates = st.floats(-1, 1).map(lambda power: 10.0**power)  # from a tenth to ten times what was reckoned


def noisy(
    seed: int, factor_of: Callable[[Cell], float], paces: dict[str, Pace], stands: float
) -> Callable[[Cell], Record]:
    """Records whose seconds are what a pace comes to, times a factor, within 20 %. stands: share of images that do."""
    reckoned, made = Forecast(paces), dict[Cell, Record]()

    def record_of(cell: Cell) -> Record:
        if cell not in made:
            noise = random.Random(f"{seed}{cell.to_json()}").uniform(0.8, 1.2)
            attack, rest = (factor_of(cell) * noise * part for part in reckoned.parts(cell))
            smaller = cell.attack.threat.eps <= (1 if cell.attack.threat.norm == "l2" else 0.1)
            smaller |= is_of_every_eps(cell.attack)  # it finds what falls at the smaller eps
            limit = 1.0 if cell.attack.threat.eps == 0 else stands if smaller else stands / 4
            made[cell] = measured(cell, attack, rest, lambda position: _UNIFORM[position % 1000] < limit)
        return made[cell]

    return record_of


@pytest.mark.parametrize("workers", [1, 3])
def test_rates_of_the_kinds_are_known_after_a_tenth(workers: int) -> None:
    """Ten shards: a tenth has met every kind of attack once. Where kinds differ by a factor of a hundred, 3 % miss."""
    cells = SUITES["whitebox"].cells(SUBJECTS[1:2], Selection(examples=1000))
    kinds = list(dict.fromkeys(map(kind, cells)))
    ratios = []
    for example in range(25):
        some = random.Random(f"rates {example}")
        speed, *factors = (10 ** some.uniform(-1, 1) for _ in range(len(kinds) + 1))
        clock, paces = Clock(), {"mnist/b": Pace(0.001, 1e-4)}
        rate = dict(zip(kinds, factors, strict=True))
        record_of = noisy(example, lambda cell, rate=rate, speed=speed: speed * rate[kind(cell)], paces, 0.5)
        outlook = Outlook(Forecast(paces), workers, clock=clock)
        told = simulated(outlook, clock, cells, lambda _: (), record_of, workers)
        ratios.append(ratio_at(told, 1000.0, 0.12))
        assert all(left >= 0 for _, left in told)
        assert told[-1][1] == 0
    assert sum(1 / 1.5 < ratio < 1.5 for ratio in ratios) >= 23
    assert all(0.5 < ratio < 2 for ratio in ratios)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), entries=st.lists(rates, min_size=3, max_size=3), speed=rates)
def test_entries_that_were_tried_are_known_before_their_first_cell(
    seed: int, entries: list[float], speed: float
) -> None:
    """What a try said is off by 20 % for each, and the machine is as many times slower for all."""
    clock = Clock()
    paces = {s.model: Pace(0.001, 1e-4 * rate) for s, rate in zip(SUBJECTS, entries, strict=True)}
    tried = {
        name: Pace(p.call, p.image * random.Random(f"{seed}{name}").uniform(0.8, 1.2)) for name, p in paces.items()
    }
    cells = SUITES["whitebox"].cells(SUBJECTS, Selection())
    outlook = Outlook(Forecast(tried), clock=clock)
    told = simulated(outlook, clock, cells, lambda _: (), noisy(seed, lambda _: speed, paces, 0.5))
    assert 1 / 1.5 < ratio_at(told, 1000.0, 0.1) < 1.5


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), stands=st.floats(0.1, 0.95), speed=rates, workers=st.sampled_from([1, 2]))
def test_later_phases_are_reckoned_before_they_are_known(seed: int, stands: float, speed: float, workers: int) -> None:
    clock, suite, selection = Clock(), SUITES["adaptive"], Selection()
    paces, subjects = {"mnist/b": Pace(0.001, 1e-4)}, SUBJECTS[1:2]
    outlook = Outlook(Forecast(paces), workers, partial(suite.expected_follow_up, subjects, selection), clock=clock)
    first, follow_up = (
        suite.cells(subjects, selection),
        partial(suite.follow_up, subjects=subjects, selection=selection),
    )
    told = simulated(outlook, clock, first, follow_up, noisy(seed, lambda _: speed, paces, stands), workers)
    assert len(told) > len(first)
    # where few survive, what the first images leave says least of the others
    assert 1 / 1.5 < ratio_at(told, 1000.0, 0.1) < (1.5 if stands >= 0.2 else 2)
    assert 1 / 1.5 < ratio_at(told, 1000.0, 0.25) < 1.5


def test_without_the_later_phases_time_left_would_be_told_too_short() -> None:
    """What the test above would find of a forecast that knows the first phase alone."""
    clock, suite, selection, subjects = Clock(), SUITES["adaptive"], Selection(), SUBJECTS[1:2]
    paces = {"mnist/b": Pace(0.001, 1e-4)}
    first, follow_up = (
        suite.cells(subjects, selection),
        partial(suite.follow_up, subjects=subjects, selection=selection),
    )
    outlook, record_of = Outlook(Forecast(paces), clock=clock), noisy(0, lambda _: 1.0, paces, 0.8)
    told = simulated(outlook, clock, first, follow_up, record_of)
    assert ratio_at(told, 1000.0, 0.1) < 1 / 1.5


@given(rates)
def test_what_was_measured_before_is_known_from_the_start(rate: float) -> None:
    """A second run on more images: entries and kinds that the first measured."""
    paces = {s.model: Pace(0.001, 1e-4) for s in SUBJECTS}
    factors = {s.model: rate**place for place, s in enumerate(SUBJECTS)}
    first, second = (SUITES["whitebox"].cells(SUBJECTS, Selection(examples=n)) for n in (100, 300))
    record_of = noisy(1, lambda cell: factors[cell.model], paces, 0.5)
    ahead = [cell for cell in second if cell not in set(first)]
    truth = sum(sum(seconds_of(record_of(cell)) or ()) for cell in ahead)
    outlook = Outlook(Forecast(paces, [record_of(cell) for cell in first]))
    outlook.add(second, ahead)
    assert 1 / 1.5 < outlook.left() / truth < 1.5


def test_the_first_cell_of_a_process_says_nothing_of_judging() -> None:
    """Libraries are imported in it: four seconds that no other cell takes."""
    clock, paces = Clock(), {"mnist/f": Pace(0.001, 1e-4)}
    cells = SUITES["whitebox"].cells(SUBJECTS[:1], Selection(examples=200))
    outlook = Outlook(Forecast(paces), clock=clock)
    outlook.add(cells, cells)
    before = outlook.left()
    reckoned = Forecast(paces).seconds(cells[0])
    outlook.start(cells[0])
    clock.now += 4.0
    outlook.finish(cells[0], measured(cells[0], reckoned / 2, 4.0))
    assert 0.5 * before < outlook.left() < 1.2 * before


def test_the_first_cell_of_an_entry_says_nothing_of_judging_either() -> None:
    """Its weights are loaded in it, and no other's."""
    clock, paces = Clock(), {subject.model: Pace(0.001, 1e-4) for subject in SUBJECTS}
    cells = SUITES["whitebox"].cells(SUBJECTS[:2], Selection(examples=20))
    outlook, reckoned = Outlook(Forecast(paces), clock=clock), Forecast(paces)
    outlook.add(cells, cells)
    for cell in cells[:12]:
        outlook.start(cell)
        outlook.finish(cell, measured(cell, *reckoned.parts(cell)))
    before, second = outlook.left(), cells[12]
    outlook.start(second)
    attack, rest = reckoned.parts(second)
    outlook.finish(second, measured(second, attack, rest + 5.0))
    assert outlook.left() < before


def test_an_attack_at_radius_zero_costs_next_to_nothing_where_gradients_are_shared() -> None:
    forecast = Forecast({"mnist/b": Pace(0.001, 1e-4)})
    zero, one = (Cell("mnist/b", "mnist", standard_attack("pgd-l2", eps), 0, 100) for eps in (0.0, 1.0))
    assert forecast.seconds(zero) < forecast.seconds(one) / 20
    alone = dataclasses.replace(zero, libraries=LIBRARIES[:1])
    assert forecast.seconds(alone) > forecast.seconds(one) / 5


def test_fgsm_is_mostly_judging() -> None:
    cell = Cell("mnist/b", "mnist", standard_attack("fgsm", 0.1), 0, 100, LIBRARIES)
    work = effort(cell)
    assert work.judged == 100 * (JUDGE_DRAWS + ATTACK_DRAWS)
    assert work.calls * work.passes < work.judged


def test_a_transfer_is_paid_at_the_pace_of_the_network_that_it_comes_from() -> None:
    spec = dataclasses.replace(standard_attack("pgd-linf", 0.1), gradient=Gradient(source="mnist/other"))
    cell = Cell("mnist/f", "mnist", spec, 0, 100, LIBRARIES[:1], 1, 1)
    fast, slow = Pace(0.0, 1e-6), Pace(0.0, 1e-2)
    assert Forecast({"mnist/f": fast, "mnist/other": slow}).seconds(cell) > 50
    untried, tried = Forecast({"mnist/f": fast}), Forecast({"mnist/f": slow})
    assert 0.1 < untried.parts(cell)[0] < 10
    assert untried.parts(cell)[0] == tried.parts(cell)[0]  # its own pace says nothing of the other's


def test_ratios_of_pairs_that_were_not_met_are_products() -> None:
    ratios = Ratios()
    for entry, of in itertools.product(range(4), range(4)):
        if (entry, of) != (3, 3):
            for _ in range(20):
                ratios.learn(str(entry), (of,), 2.0**entry * 3.0**of, 1.0)
    assert ratios("3", (3,)) == pytest.approx(8 * 27, rel=0.1)
    assert ratios("2", (1,)) == pytest.approx(12, rel=0.05)
    assert Ratios()("any", ()) == 1.0


def test_a_record_with_an_error_or_without_its_seconds_teaches_nothing() -> None:
    cell = Cell("mnist/f", "mnist", standard_attack("fgsm", 0.1), 0, 10, LIBRARIES, 1, 1)
    record = measured(cell, 3.0, 1.0)
    assert seconds_of(record) == pytest.approx((3.0, 1.0))
    failed = {**record.outcomes, "art": dataclasses.replace(outcome([]), error="no")}
    assert seconds_of(dataclasses.replace(record, outcomes=failed)) is None
    assert seconds_of(dataclasses.replace(record, provenance={})) is None


def test_cells_of_other_radii_and_shards_take_as_long_and_no_others() -> None:
    one = Cell("mnist/f", "mnist", standard_attack("bim", 0.1), 0, 100)
    same = Cell("mnist/f", "mnist", standard_attack("bim", 0.3), 100, 200)
    assert alike(one) == alike(same)
    for other in (
        dataclasses.replace(one, model="mnist/b"),
        dataclasses.replace(one, stop=50),
        dataclasses.replace(one, only=(1, 2)),
        dataclasses.replace(one, libraries=LIBRARIES[:1]),
        dataclasses.replace(one, attack_draws=1),
        dataclasses.replace(one, attack=standard_attack("bim", 0.0)),
        dataclasses.replace(one, attack=standard_attack("pgd-linf", 0.1)),
    ):
        assert alike(other) != alike(one)


def cells_of_another_process(outlook: Outlook, cells: list[Cell]) -> list[float]:
    told = []
    for cell in cells:
        outlook.finish(cell)
        told.append(outlook.left())
    return told


def test_what_another_process_finishes_is_no_longer_left() -> None:
    cells = SUITES["whitebox"].cells(SUBJECTS, Selection(examples=20))
    outlook = Outlook(Forecast({}))
    outlook.add(cells, cells)
    told = cells_of_another_process(outlook, cells)
    assert told == sorted(told, reverse=True)
    assert told[-1] == 0
    assert (outlook.done, outlook.total) == (len(cells), len(cells))


def test_a_cell_that_is_overdue_is_never_done_by_itself() -> None:
    clock = Clock()
    cells = SUITES["smoke"].cells(SUBJECTS[:1], Selection())
    outlook = Outlook(Forecast({}), clock=clock)
    outlook.add(cells[:1], cells[:1])
    outlook.start(cells[0])
    clock.now += 1000
    assert 50 < outlook.left() < 200


@pytest.mark.parametrize("workers", [None, 4])
def test_cells_that_run_at_once_share_the_time_but_none_is_divided(workers: int | None) -> None:
    clock, forecast = Clock(), Forecast({"mnist/f": Pace(0.0, 1e-3)})
    cells = SUITES["whitebox"].cells(SUBJECTS[:1], Selection(examples=2000, attacks=("bim",), eps={"linf": (0.1,)}))
    outlook = Outlook(forecast, workers, clock=clock)
    outlook.add(cells, cells)
    for cell in cells[:4]:  # on a cluster it shows how many run at once
        outlook.start(cell)
    outlook.finish(cells[0], measured(cells[0], *forecast.parts(cells[0])))
    assert outlook.left() == pytest.approx((len(cells) - 1) / 4 * forecast.seconds(cells[1]), rel=0.01)
    for cell in cells[1:-1]:
        outlook.finish(cell)
    assert outlook.left() == pytest.approx(forecast.seconds(cells[-1]), rel=0.01)


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_that_start_and_import_are_waited_for(workers: int) -> None:
    clock, forecast = Clock(), Forecast({"mnist/f": Pace(0.0, 1e-3)})
    cells = SUITES["smoke"].cells(SUBJECTS[:1], Selection())[:1]
    outlook = Outlook(forecast, workers, clock=clock)
    outlook.add(cells, cells)
    outlook.start(cells[0])
    before = outlook.left()
    assert before > forecast.seconds(cells[0]) + 1
    clock.now += 1.5
    assert outlook.left() == pytest.approx(before - 1.5)  # none of it was the cell's


def test_processes_live_on_so_that_a_second_phase_does_not_wait_for_them() -> None:
    clock, cells = Clock(), SUITES["smoke"].cells(SUBJECTS[:1], Selection())
    told = []
    for start_up in (0.0, 30.0):
        expected = SUITES["adaptive"].expected_follow_up(SUBJECTS[:1], Selection(), Survival())
        outlook = Outlook(Forecast({}), 2, lambda _, expected=expected: expected, clock=clock)
        outlook.add(cells, cells)
        outlook.start(cells[0])
        clock.now += start_up + 1.0
        outlook.finish(cells[0], measured(cells[0], 0.5, 0.5))
        told.append(outlook.left())
    assert told[1] == pytest.approx(told[0])
