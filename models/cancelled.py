"""The error of a cancelled request."""

from __future__ import annotations

from dspy.utils.exceptions import LMError


class RequestCancelledError(LMError):
    """The request was cancelled before its answer was complete; trying again would be wrong."""

    default_code = "cancelled"
