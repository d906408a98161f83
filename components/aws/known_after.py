"""How one resource waits for another by data: a value of the one that is known only once the other is there."""

from typing import Any

import pulumi


def known_after(value: pulumi.Input[str], *others: pulumi.Input[Any]) -> pulumi.Output[str]:
    """Return `value`, known once all of `others` are.

    For what a consumer needs and no input of it says: a role with its rights, a subnet with its routes. Whoever
    takes the value waits for both, and a preview that knows neither shows that.
    """
    return pulumi.Output.all(value, *others).apply(lambda known: str(known[0]))
