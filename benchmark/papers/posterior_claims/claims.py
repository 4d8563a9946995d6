"""What the papers claim, in our own words: their tables could not be read, and no number of theirs is quoted."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from benchmark.papers.judging import Claim
from benchmark.papers.posterior_claims import spheres
from benchmark.papers.posterior_claims.evidence import LIMIT, OWN, UNKNOWN, VIEWS, Evidence, On, View
from benchmark.papers.posterior_claims.queries import SAMPLED
from benchmark.papers.posterior_claims.statements import (
    TENTH,
    Statement,
    fewer_errors_on_spheres,
    gradient_below,
    gradient_falls_with_width,
    more_robust_than_the_maximum,
    noticed,
    overestimates,
    rise_together,
    robust,
    susceptible,
    withstands_queries,
)
from benchmark.papers.posteriors.grid import EXACT, PUBLISHED
from benchmark.papers.posteriors.suite import Attacker

VARIATIONAL = "mean-field-t1"  # as the study names it: at temperature 1


class Cited(NamedTuple):
    """A claim, on what it is judged, and by whose attacks.

    needs: what it cannot be judged without. by_eps: whether it is about images within an eps.
    note: what else is to be known.
    """

    claim: Claim[Evidence]
    views: tuple[View, ...]
    on: On
    needs: str
    by_eps: bool
    note: str


def cited(
    where: str,
    text: str,
    *statements: Statement,
    views: tuple[View, ...] = VIEWS,
    on: On = On.STUDY,
    needs: str = f"the maximum and {EXACT} of one problem, attacked",
    by_eps: bool = True,
    note: str = "",
) -> Cited:
    return Cited(Claim(where, text, statements), views, on, needs, by_eps, note)


CARBONE = "Carbone et al. 2020"
BORTOLUSSI = "Bortolussi et al. 2024"
VADERA = "Vadera et al. 2020"
GAL = "Gal and Smith 2018"
BEKASOV = "Bekasov and Murray 2018"
FENG = "Feng et al. 2024"

TITLES = {
    CARBONE: "Robustness of Bayesian Neural Networks to Gradient-Based Attacks",
    BORTOLUSSI: "On the Robustness of Bayesian Neural Networks to Adversarial Attacks",
    VADERA: "Assessing the Adversarial Robustness of Monte Carlo and Distillation Methods for Deep Bayesian Neural "
    "Network Classification",
    GAL: "Sufficient Conditions for Idealised Models to Have No Adversarial Examples",
    BEKASOV: "Bayesian Adversarial Spheres",
    FENG: "Attacking Bayes: On the Adversarial Robustness of Bayesian Neural Networks",
}

_on_boards = partial(cited, views=(OWN,), on=On.BOARDS, needs=f"an audit of {SAMPLED}")

CLAIMS: tuple[Cited, ...] = (
    cited(
        CARBONE,
        "The expected gradient of the loss vanishes.",
        gradient_below(EXACT, TENTH),
        views=(LIMIT,),
        by_eps=False,
        note="The paper proves it in a limit of width and data. This is one width and one set of images, in the limit "
        "of draws: the norm is nearly free of what a finite number of them adds (of no gradient at all some hundredths "
        "would be left). Tested over trainings alone, on averages over 200 test images.",
    ),
    cited(
        CARBONE,
        "The expected gradient is at least smaller than the maximum's (a weaker form, ours).",
        gradient_below(EXACT, 1),
        views=(LIMIT,),
        by_eps=False,
        note="Tested as claim 1.",
    ),
    cited(
        CARBONE,
        "The expected gradient falls as networks grow wider.",
        gradient_falls_with_width(),
        views=(LIMIT,),
        on=On.MOONS,
        needs="the half-moons of several widths",
        by_eps=False,
        note="Four widths, one sampling of each; the claim is about the limit of width and data together, and the data "
        "are 200 points here at every width.",
    ),
    cited(CARBONE, "HMC networks are robust to FGSM and PGD.", robust(EXACT)),
    cited(
        CARBONE,
        "Networks fitted by variational inference are robust to FGSM and PGD.",
        robust(VARIATIONAL),
        needs=f"{VARIATIONAL} of one problem, attacked",
    ),
    cited(
        CARBONE,
        "HMC networks as the paper's public code samples them are robust to FGSM and PGD.",
        robust(PUBLISHED),
        needs=f"{PUBLISHED} of one problem, attacked",
        note="Claim 4 for the networks that the paper's code gives: nine samples after 50 steps.",
    ),
    cited(
        CARBONE,
        "Accuracy and robustness rise together.",
        rise_together(),
        needs="five kinds of posteriors of one problem, attacked",
        note="Over all kinds of posteriors of the study, which are not a random sample of any.",
    ),
    cited(
        BORTOLUSSI,
        "HMC networks are robust to attacks without their gradients: transfers.",
        robust(EXACT, (Attacker.TRANSFER,)),
        views=(UNKNOWN,),
        note="Images are made on the maximum of the same posterior. Such an attacker asks the network nothing, but has "
        "its training data.",
    ),
    cited(
        BORTOLUSSI,
        "HMC networks are robust to attacks without gradients: queries (Square).",
        withstands_queries(SAMPLED),
        views=(UNKNOWN, OWN),
        on=On.QUERIES,
        needs=f"Square on every image of {SAMPLED}",
        note="An audit runs Square on what gradients left; here it meets every image. By unknown draws the answers are "
        "those of other draws than judge.",
    ),
    cited(
        VADERA,
        "Networks of full MCMC inference withstand FGSM and PGD better than a point estimate.",
        more_robust_than_the_maximum(EXACT),
        note="Whether they are robust by themselves is claim 4.",
    ),
    cited(
        GAL,
        "Networks that are nearly idealised (HMC, our reading) have few adversarial examples.",
        robust(EXACT),
        views=(UNKNOWN, OWN),
        note="The paper: idealised networks have none. HMC on a small network is near the ideal inference, not the "
        "ideal invariances that it asks for. The test is that of claim 4.",
    ),
    _on_boards(
        GAL,
        "Epistemic uncertainty rises off the data, so that adversarial images are noticed.",
        noticed("unaware"),
        note="Mutual information of weights and label; the attacker wants errors and knows of no detector.",
    ),
    _on_boards(
        GAL,
        "So are those of an attacker who wants the errors certain.",
        noticed("aware"),
        note="The same attack, towards the likeliest wrong label until it is certain.",
    ),
    *(
        cited(
            BEKASOV,
            f"On concentric spheres {words} have fewer adversarial examples.",
            fewer_errors_on_spheres(kind),
            views=(UNKNOWN, OWN),
            on=On.SPHERES,
            needs="`python -m examples.spheres`",
            note="Fewer than the maximum: errors that an attack finds within eps without leaving the sphere. One small "
            "network in 10 dimensions, three trainings and chains.",
        )
        for kind, words in ((spheres.SAMPLED, "HMC networks"), (spheres.FITTED, "mean-field networks"))
    ),
    cited(
        FENG,
        "HMC networks are highly susceptible to correct attacks.",
        susceptible(EXACT),
        views=(UNKNOWN, OWN),
    ),
    cited(
        FENG,
        "So are networks of approximate inference: mean-field.",
        susceptible(VARIATIONAL),
        views=(UNKNOWN, OWN),
        needs=f"{VARIATIONAL} of one problem, attacked",
    ),
    cited(
        FENG,
        "Where they looked robust, attacks were not correct.",
        overestimates(EXACT, (Attacker.SINGLE,)),
        views=(UNKNOWN,),
        note="Our reading of *correct*: led by the gradient of what is judged, and not by one draw's.",
    ),
    _on_boards(
        FENG,
        "Uncertainty does not give adversarial images away.",
        noticed("aware", holds=False),
        note="The opposite of claim 13.",
    ),
)
