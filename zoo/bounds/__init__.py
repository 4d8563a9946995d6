"""What no attack can do: bounds of a network's outputs over all images of a ball, by linear relaxation (CROWN)."""

from zoo.bounds.chain import METHODS, Method
from zoo.bounds.margins import bounds, margins
from zoo.bounds.mixture import certified, lead
from zoo.bounds.rows import Interval
from zoo.bounds.steps import rule, steps_of

__all__ = ["METHODS", "Interval", "Method", "bounds", "certified", "lead", "margins", "rule", "steps_of"]
