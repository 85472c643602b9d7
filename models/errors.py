"""What can go wrong between this program and a model.

ModelError                   a model that can't be used; exit code 3
├── ModelNotFoundError       no such file, tag or server
├── ModelUriError            a model URI that can't be read
├── ModelFileError           a GGUF file that is damaged or of an unsupported kind
├── ChatTemplateError        a model without a usable chat template
├── ModelMemoryError         a model or a context that doesn't fit into memory
├── ServerError              a server that is down, busy, or answers with an error
└── RevisionMovedError       the same name means other weights than before
"""

from __future__ import annotations

from engine.ground.errors import PromptGradError


class ModelError(PromptGradError):
    """A model can't be used; the hint says what to do."""

    exit_code = 3


CHOOSE_ANOTHER = "Choose a model that writes text; `promptgrad models` lists what is here."


class ModelNotFoundError(ModelError):
    """No such file, tag or server."""


class ModelUriError(ModelError):
    """A model URI that can't be read."""

    exit_code = 2


class ModelFileError(ModelError):
    """A GGUF file that is damaged, incomplete or of an unsupported kind."""


class ChatTemplateError(ModelError):
    """A model without a usable chat template."""


class ModelMemoryError(ModelError):
    """A model or a context that doesn't fit into memory."""


class ServerError(ModelError):
    """A model server that is down, busy, or answers with an error."""


class RevisionMovedError(ModelError):
    """The same name now means other weights than when the run began."""
