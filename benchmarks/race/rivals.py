"""The rivals without a gradient: random, evolution, two-step, fixed accelerator, semi-decoupled.

Each asks the judge and returns what it ends with, None if it found nothing that meets the demand. They follow the
published methods in what matters here, stated in each docstring.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from .problem import Candidate, Choice, Judge, Limit, Problem, Rng, Row, best_arrays

POPULATION = 50
SAMPLE = 10
HALVINGS = 8  # of the limit of products in two steps
FRONT = 24  # networks of the proxy accelerator's front that are looked at on the board
DRAWN = 200  # networks among which the fixed accelerator's is chosen
CANDIDATES = 6  # that two steps and semi-decoupled search end with, as others end with more than one


def random_joint(judge: Judge, rng: Rng) -> Candidate | None:
    """Search by drawing network and accelerator evenly; those that miss the demand cost no evaluation."""
    problem = judge.problem
    while not judge.spent:
        judge.try_both(problem.any_row(rng), problem.any_choice(rng))
    return judge.best


def evolution(judge: Judge, rng: Rng) -> Candidate | None:
    """Search both together by regularised evolution: the oldest dies, a child changes one decision."""
    problem = judge.problem
    evolve(
        lambda: (problem.any_row(rng), problem.any_choice(rng)),
        lambda parent: _mutant(problem, parent, rng),
        lambda genome: judge.try_both(*genome),
        lambda: judge.spent,
        rng,
    )
    return judge.best


def fixed(judge: Judge, rng: Rng) -> Candidate | None:
    """Choose the accelerator first, the best one for a typical network; then search a network for it.

    Typical is the network in the middle of the space. Where its accelerator misses the demand, it is another: of DRAWN
    networks whose accelerator meets it, the one of most products. The search of the network knows the accelerator, and
    evolves under the demand. The result keeps the accelerator.
    """
    problem = judge.problem
    drawn = sorted((problem.any_row(rng) for _ in range(DRAWN)), key=problem.products, reverse=True)
    made = ((row, best_arrays(problem, row)) for row in (problem.middle, *drawn))
    choice = next((c for row, c in made if c is not None and judge.price(row, c).meets), None)
    if choice is None:
        return None
    _evolve_rows(judge, lambda row: judge.try_both(row, choice), lambda: judge.spent, rng)
    return judge.best


def two_step(judge: Judge, rng: Rng) -> Candidate | None:
    """Search the most accurate network within a limit of products, then its best design.

    The first limit is what the board's lanes can do in the demanded interval. While the result's best design misses the
    demand, the limit is halved and the search begun again. Each trial has the whole budget of evaluations.
    """
    problem = judge.problem
    limit = problem.lanes * problem.target
    for _ in range(HALVINGS):
        part = Judge(problem, Limit(judge.limit.evaluations, judge.limit.points), _known=judge._known)
        top: dict[Row, float] = {}

        def fitness(row: Row, part: Judge = part, limit: int = limit, top: dict[Row, float] = top) -> float:
            part.points += 1
            products = problem.products(row)
            if products > limit:
                return limit / products - 1.0
            top[row] = part.accuracy(row)
            return top[row]

        _evolve_rows(part, fitness, lambda part=part: part.spent, rng)
        judge.evaluations += part.evaluations
        judge.points += part.points
        judge._owed += part._owed
        _keep_exact(judge, sorted(top, key=lambda r: (-top[r], r))[:CANDIDATES], top)
        if judge.best is not None:
            return judge.best
        limit //= 2
    return None


def semi_decoupled(judge: Judge, rng: Rng) -> Candidate | None:
    """Search the networks that are best on one proxy accelerator; then of these the best one with its own design.

    The proxy is the best accelerator for the network in the middle of the space. The front is of accuracy against the
    interval there. Evolution finds it: each of its members is compared at its own pace.
    """
    problem = judge.problem
    choice = best_arrays(problem, problem.middle)
    if choice is None:
        return None
    seen: dict[Row, tuple[float, int]] = {}
    scale = problem.price(problem.middle, choice).interval

    def fitness(row: Row) -> float:
        # Every birth has its own pace, so that the search covers the whole front and not one point of it.
        pace = scale * 4.0 ** (2.0 * rng.random() - 1.0)
        interval = judge.price(row, choice).interval
        if interval > pace:
            return pace / interval - 1.0
        seen[row] = (judge.accuracy(row), interval)
        return seen[row][0]

    _evolve_rows(judge, fitness, lambda: judge.spent, rng)
    _keep_exact(judge, _front(seen)[:FRONT], {row: accuracy for row, (accuracy, _) in seen.items()})
    return judge.best


def _keep_exact(judge: Judge, rows: Sequence[Row], accuracy: Mapping[Row, float]) -> None:
    """Keep the first CANDIDATES of the networks whose best design meets the demand."""
    for row in rows:
        interval = judge.exact(row)
        if interval is not None and interval <= judge.problem.target:
            judge.keep(row, None, accuracy[row], interval)
        if len(judge.kept) == CANDIDATES:
            return


def evolve(
    born: Callable[[], tuple[Row, Choice]],
    mutant: Callable[[tuple[Row, Choice]], tuple[Row, Choice]],
    fitness: Callable[[tuple[Row, Choice]], float],
    spent: Callable[[], bool],
    rng: Rng,
) -> None:
    """Search by regularised evolution: of SAMPLE of POPULATION members the fittest has a child, the oldest dies."""
    members: deque[tuple[float, tuple[Row, Choice]]] = deque()
    while not spent():
        if len(members) < POPULATION:
            genome = born()
        else:
            drawn = rng.choice(len(members), SAMPLE, replace=False)
            genome = mutant(max((members[i] for i in drawn), key=lambda m: m[0])[1])
            members.popleft()
        members.append((fitness(genome), genome))


def _evolve_rows(judge: Judge, fitness: Callable[[Row], float], spent: Callable[[], bool], rng: Rng) -> None:
    problem = judge.problem
    evolve(
        lambda: (problem.any_row(rng), ()),
        lambda parent: (_changed_row(problem, parent[0], rng), ()),
        lambda genome: fitness(genome[0]),
        spent,
        rng,
    )


def _mutant(problem: Problem, parent: tuple[Row, Choice], rng: Rng) -> tuple[Row, Choice]:
    """Change one decision of the network or one array, as a coin falls."""
    row, choice = parent
    if rng.random() < 0.5:
        return _changed_row(problem, row, rng), choice
    return row, _changed(choice, problem.arrays, rng)


def _changed_row(problem: Problem, row: Row, rng: Rng) -> Row:
    while True:
        changed = _changed(row, problem.sizes, rng)
        if problem.legal(changed):
            return changed


def _changed(values: tuple[int, ...], sizes: tuple[int, ...], rng: Rng) -> tuple[int, ...]:
    """Return the choices with another option at one place that has several."""
    places = [i for i, n in enumerate(sizes) if n > 1]
    at = places[int(rng.integers(len(places)))]
    other = (values[at] + 1 + int(rng.integers(sizes[at] - 1))) % sizes[at]
    return (*values[:at], other, *values[at + 1 :])


def _front(seen: dict[Row, tuple[float, int]]) -> list[Row]:
    """Return the networks that no other beats in accuracy and interval, the most accurate first."""
    found, least = [], None
    for row in sorted(seen, key=lambda r: (-seen[r][0], seen[r][1], r)):
        if least is None or seen[row][1] < least:
            found.append(row)
            least = seen[row][1]
    return found
