"""Every error this project raises on purpose.

::

    PalError
    ├── InputError        something sent to us is malformed, too large or out of range      (HTTP 400, exit 2)
    ├── AccessError       a credential is missing or wrong                                  (HTTP 401, exit 3)
    ├── NotFoundError     a project, desk, sample, version or file that is not there        (HTTP 404, exit 4)
    ├── ConflictError     it exists already, or somebody else holds it                      (HTTP 409, exit 5)
    ├── UnavailableError  Redis, Label Studio or a worker cannot be reached; try again      (HTTP 503, exit 6)
    └── ConfigError       a setting or a labelling config cannot be used as it is           (HTTP 500, exit 7)

A message says what was found, what was expected, and what to do, in that order; it never holds a secret.
The status and exit code live here, so that each is decided in one place.
"""


class PalError(Exception):
    """Base of all errors raised on purpose."""

    status = 500
    exit_code = 1


class InputError(PalError):
    """Something sent to us is malformed, too large or out of range."""

    status = 400
    exit_code = 2

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class AccessError(PalError):
    """A credential is missing or wrong."""

    status = 401
    exit_code = 3

    def __init__(self, message: str, *, status: int = 401) -> None:
        super().__init__(message)
        self.status = status


class NotFoundError(PalError):
    """A project, desk, sample, version or file that is not there."""

    status = 404
    exit_code = 4


class ConflictError(PalError):
    """It exists already, or somebody else holds it."""

    status = 409
    exit_code = 5


class UnavailableError(PalError):
    """Redis, Label Studio or a worker cannot be reached; trying again may help."""

    status = 503
    exit_code = 6


class ConfigError(PalError):
    """A setting or a labelling config cannot be used as it is."""

    status = 500
    exit_code = 7
