"""The one exception that the command line turns into one line."""


class UserError(Exception):
    """Something that the person at the keyboard can put right: a file, a folder or a setting.

    The message is one line that names the file or setting, says what came and what was expected, and what to do.
    """
