"""Adam with a learning rate of its own for each part of the network.

Discriminative fine-tuning: Howard and Ruder, ACL 2018. Scaling the gradients would not do it: Adam divides each
gradient by its own size, so that the step stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


class DiscriminativeAdam(keras.optimizers.Adam):
    """Adam whose step on each variable is multiplied by the variable's factor.

    Works with the backends that update variables one by one (TensorFlow, JAX).

    Args:
        factors: factor of each trainable variable, in the order in which the model lists them; finite and >= 0.
        **options: of :class:`keras.optimizers.Adam`.
    """

    def __init__(self, *, factors: Sequence[float], **options: Any) -> None:
        super().__init__(**options)
        self._factors = tuple(float(factor) for factor in factors)

    def build(self, variables: Any) -> None:
        """Create the moments; raises ValueError when there are not as many variables as factors."""
        variables = list(variables)
        if len(variables) != len(self._factors):
            raise ValueError(f"{len(self._factors)} factors were given for {len(variables)} trainable variables.")
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step on one variable."""
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)

    def get_config(self) -> dict[str, Any]:
        """The options to build the same optimizer again."""
        return {**super().get_config(), "factors": self._factors}
