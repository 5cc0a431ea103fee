"""The two largest eigenvalues of many Gram operators at once, by the Lanczos recurrence."""

from typing import Any, Generic

import numpy as np
from scipy.linalg.lapack import dstemr

from .operators import GramOperator, Vectors

#: Relative residual at which an eigenvalue is taken. It bounds the error of the eigenvalue; that of the singular value
#: is half of it, and both are far smaller in practice, since a Ritz value's error is of the order of the residual's
#: square.
CERTIFIED = 1.5e-5

#: The first vector is projected out, so that its residual enters both values: relative to the second eigenvalue.
FIRST_CERTIFIED = 1e-6

#: Steps after which the first eigenvalue is looked at: that of a nonnegative matrix stands far from the rest unless the
#: graph falls apart.
FIRST_STEPS = (7, 10, 14, 20, 32)

#: Beyond this multiple of the expected steps the recurrence gives up.
PATIENCE = 6

#: A remainder below this fraction of the first eigenvalue is rounding: the Krylov space is closed.
CLOSED = 1e-14


def expected_steps(side: np.ndarray | int) -> np.ndarray:
    """Return the steps after which the second eigenvalue should be certified, for matrices of small side `side`.

    The eigenvalues at the edge of a random matrix's bulk lie side^(-2/3) apart (Tracy and Widom), and the steps that
    the recurrence takes to tell them grow with the root of one over that. The factor is measured. No more than `side`:
    there the recurrence has seen the whole space.
    """
    return np.minimum(side, np.ceil(5.0 * np.cbrt(side))).astype(int)


def two_largest_eigenvalues(operator: GramOperator[Any], sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two largest eigenvalues of each operator, and whether they are certified.

    The shapes are (operators, 2) and (operators,).
    `sides` bounds the rank of each. First the recurrence for the largest eigenvalue, started near the Perron vector;
    then again, from a start of its own, with the vector v that was found projected out: a single recurrence would see a
    multiple eigenvalue once (a graph of equal components has sigma1 = sigma2).

    With r1 the residual of v and P the projection that removes it, the operator differs from the direct sum of its
    value on v and P·operator·P by a matrix of norm r1. By Weyl's inequality each value is within r1 plus its own
    residual of an eigenvalue, and it is certified where that is at most `CERTIFIED` of it. That it is the *second*
    eigenvalue, and not one that lies as close below it, rests on the random start.
    """
    first, vector, first_residual = _largest(operator)
    second, second_residual = _largest_besides(operator, vector, sides, first, first_residual)
    values = np.stack([np.maximum(first, second), np.minimum(first, second)], axis=1)
    return values, first_residual + second_residual <= CERTIFIED * values[:, 1]


class _Recurrence(Generic[Vectors]):
    """The three-term recurrence q_{j+1}·beta_{j+1} = A·q_j − alpha_j·q_j − beta_j·q_{j−1}, for all operators at once.

    The vectors lose their orthogonality once a Ritz value has converged (Paige), and copies of it appear. That does no
    harm to the largest Ritz value, but to a vector that is put together from them: where one is wanted, `keep` makes
    the recurrence keep its `basis` and orthogonalise against all of it.
    """

    def __init__(
        self,
        operator: GramOperator[Vectors],
        start: Vectors,
        besides: Vectors | None = None,
        largest: Vectors | None = None,
        keep: bool = False,
    ) -> None:
        """Begin at `start`, with `besides` projected out, the eigenvector of each operator's `largest` eigenvalue."""
        self._operator, self._besides, self._largest = operator, besides, largest
        self.basis: list[Vectors] = []
        self._keep = keep
        self.vector = self._normalised(self._projected(start), 0.0)[0]
        self._previous: Vectors | None = None
        self._beta: Vectors | None = None
        self.steps = 0
        # alpha and beta of each step: those that came to the host, (2, steps, operators), and those that did not yet.
        self._known = np.zeros((2, 0, len(operator.sides)))
        self._new: list[tuple[Vectors, Vectors]] = []

    def step(self) -> None:
        """Go one step further, by one product with the operator."""
        vector = self.vector
        if self._keep:
            self.basis.append(vector)
        remainder = self._operator.multiply(vector)
        alpha = self._operator.dots(remainder, vector)
        remainder -= alpha * vector
        if self._previous is not None:
            remainder -= self._beta * self._previous
        self._previous = vector
        if self._largest is None:
            self._largest = alpha
        self.vector, self._beta = self._normalised(self._projected(remainder), CLOSED * self._largest)
        self._new.append((alpha, self._beta))
        self.steps += 1

    def subset(self, chosen: np.ndarray) -> None:
        """Go on with the operators where `chosen` (a boolean for each) holds."""
        self.tridiagonal()
        self._known = self._known[:, :, chosen]
        self._operator = self._operator.subset(chosen)
        self.vector = self.vector[chosen]
        self._previous, self._beta, self._besides, self._largest = (
            None if each is None else each[chosen]
            for each in (self._previous, self._beta, self._besides, self._largest)
        )

    def tridiagonal(self) -> tuple[np.ndarray, np.ndarray]:
        """Return alpha and beta of all steps, each of shape (steps, operators), as float64."""
        if self._new:
            new = np.stack([self._operator.host(list(numbers)) for numbers in zip(*self._new, strict=True)])
            self._known, self._new = np.concatenate([self._known, new], axis=1), []
        return self._known[0], self._known[1]

    def _projected(self, vector: Vectors) -> Vectors:
        for besides in self.basis if self._besides is None else (self._besides,):
            vector -= self._operator.dots(besides, vector) * besides
        return vector

    def _normalised(self, vector: Vectors, closed: Any) -> tuple[Vectors, Vectors]:
        """Return the unit vector and the norm; both 0 where the norm is rounding: that operator's recurrence ends."""
        norm = self._operator.dots(vector, vector) ** 0.5
        alive = norm > closed
        return vector * (alive / (norm + ~alive)), norm * alive


def _largest(operator: GramOperator[Vectors]) -> tuple[np.ndarray, Vectors, np.ndarray]:
    """Return the largest eigenvalue of each operator, its unit vector, and the residual: infinite if not found."""
    # One product from a positive start gives a vector near the Perron vector; the noise keeps an exact eigenvector of
    # a lesser component from hiding the rest.
    recurrence = _Recurrence(operator, operator.multiply(1.0 + 0.3 * abs(operator.noise(0))), keep=True)
    count = len(operator.sides)
    value, residual = np.zeros(count), np.full(count, np.inf)
    pending = np.ones(count, dtype=bool)
    coefficients = np.zeros((FIRST_STEPS[-1], count))
    for steps in FIRST_STEPS:
        while recurrence.steps < steps:
            recurrence.step()
        alpha, beta = recurrence.tridiagonal()
        ritz, vectors = np.linalg.eigh(_matrices(alpha[:, pending], beta[:, pending]))
        bound = beta[-1, pending] * np.abs(vectors[:, -1, -1])
        # The second Ritz value is never above the second eigenvalue.
        found = bound <= FIRST_CERTIFIED * np.maximum(ritz[:, -2], CLOSED * ritz[:, -1])
        chosen = np.flatnonzero(pending)[found]
        value[chosen], residual[chosen] = ritz[found, -1], bound[found]
        coefficients[:steps, chosen] = vectors[found, :, -1].T
        pending[chosen] = False
        if not pending.any():
            break
    vector: Vectors = sum(
        operator.device(part) * unit for unit, part in zip(recurrence.basis, coefficients, strict=False)
    )
    norm = operator.dots(vector, vector) ** 0.5
    vector = vector / (norm + (norm == 0))
    # The residual of the vector itself, as everything that follows rests on it.
    error = operator.multiply(vector) - operator.device(value) * vector
    measured = operator.host([operator.dots(error, error) ** 0.5])[0]
    return value, vector, np.maximum(residual, measured)


def _largest_besides(
    operator: GramOperator[Vectors], vector: Vectors, sides: np.ndarray, first: np.ndarray, first_residual: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest eigenvalue of each operator with `vector` projected out, and its residual."""
    recurrence = _Recurrence(operator, operator.noise(1), vector, operator.device(first))
    count = len(sides)
    value, residual = np.zeros(count), np.full(count, np.inf)
    needed = expected_steps(sides)
    last = PATIENCE * needed
    running = np.flatnonzero(np.isfinite(first_residual))  # the operators that the recurrence still holds
    held = np.arange(count)
    while running.size:
        target = int(needed[running].max())
        while recurrence.steps < target:
            recurrence.step()
        columns = np.searchsorted(held, running)
        alpha, beta = (numbers[:, columns] for numbers in recurrence.tridiagonal())
        for column, number in enumerate(running):
            steps = needed[number]
            value[number], residual[number] = _top(alpha[:steps, column], beta[:steps, column])
        late = first_residual[running] + residual[running] > CERTIFIED * value[running]
        running = running[late & (needed[running] < last[running])]
        needed[running] += np.maximum(4, needed[running] // 4)
        if 0 < running.size < held.size // 2:
            chosen = np.isin(held, running)
            recurrence.subset(chosen)
            held = held[chosen]
    return value, residual


def _top(alpha: np.ndarray, beta: np.ndarray) -> tuple[float, float]:
    """Return the largest eigenvalue of a tridiagonal matrix and its residual; the last of `beta` leads out of it."""
    count = len(alpha)
    # LAPACK itself, as scipy's own function takes several times as long as the work; it overwrites its arguments.
    _, values, vectors, info = dstemr(alpha.copy(), beta.copy(), 2, 0.0, 0.0, count, count)
    return (float(values[0]), float(beta[-1] * abs(vectors[-1, 0]))) if info == 0 else (0.0, np.inf)


def _matrices(alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Return the lower triangles, (operators, steps, steps), of these diagonals, (steps, operators)."""
    steps = np.arange(len(alpha))
    matrices = np.zeros((alpha.shape[1], len(alpha), len(alpha)))
    matrices[:, steps, steps] = alpha.T
    matrices[:, steps[1:], steps[:-1]] = beta[:-1].T
    return matrices
