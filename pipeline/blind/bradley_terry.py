"""Strengths from choices between two: R. A. Bradley, M. E. Terry, Rank analysis of incomplete block designs, 1952."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit

Numbers = NDArray[np.float64]

PRIOR = 0.5
"""Choices for each of every two that are taken to have been made before the first one.

It keeps what won always, or never, at a finite strength, and pulls towards a tie. For two it is the usual correction
of log-odds (J. B. S. Haldane, F. J. Anscombe, 1956).
"""


@dataclass(frozen=True)
class Strengths:
    """What choices say of `m` things.

    Attributes:
        scores: (m), in log-odds, their mean is 0: the first is chosen over the second with the probability
            1 / (1 + exp(scores[1] − scores[0])).
        covariance: (m, m), of the scores, from the observed information.
    """

    scores: Numbers
    covariance: Numbers

    def errors(self) -> Numbers:
        """Standard errors of the scores (m)."""
        return np.sqrt(np.diag(self.covariance))

    def differences(self) -> tuple[Numbers, Numbers]:
        """Score of each over each other (m, m), and the standard errors of these."""
        variances = np.diag(self.covariance)
        spread = variances[:, None] + variances - 2 * self.covariance
        return self.scores[:, None] - self.scores, np.sqrt(np.maximum(spread, 0))


def strengths(wins: Numbers, prior: float = PRIOR) -> Strengths:
    """The likeliest strengths.

    Args:
        wins: (m, m), how often the first was chosen over the second; m of at least 2, the diagonal counts nothing.
        prior: see `PRIOR`; without one there must be a way of wins from each to each other (Ford's condition).
    """
    count = len(wins)
    won = np.where(np.eye(count, dtype=bool), 0.0, wins + prior)
    faced = won + won.T

    def unlikely(scores: Numbers) -> tuple[float, Numbers]:
        over = scores[:, None] - scores
        return -float((won * log_expit(over)).sum()), (faced * expit(over) - won).sum(1)

    found: Numbers = minimize(unlikely, np.zeros(count), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    chance = expit(found[:, None] - found)
    weights = faced * chance * chance.T
    information = np.diag(weights.sum(1)) - weights
    return Strengths(found - found.mean(), np.linalg.pinv(information, hermitian=True))
