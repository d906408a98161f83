"""The one error that is shown to people as words, without a traceback.

It stands here because `rehearsal` is the lowest package that has such errors (refused settings are
`settings.SettingsError`, which the CLI prints the same way); `ops` imports it from here.
"""


class UserError(Exception):
    """Something that the user can put right; the message says what is wrong and what to do.

    :param message: complete text, may have several lines; the CLI prints it to stderr as it is.
    :param exit_code: exit status of the command (1 unless told).
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
