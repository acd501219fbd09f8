"""The temporary directory of a process. Errors do not show it: it says nothing to authors, and is removed."""

import os
import re


def without_directory(text: str, directory: str) -> str:
    """A text with the names of files in place of their paths in a directory, such as in a stack trace.

    Scripts are in the directory, and run in the directory `work` in it.
    """
    for path in {directory, os.path.realpath(directory)}:
        text = re.sub(rf"(?:file://)?{re.escape(path)}(?:/work/\.\.)?/", "", text).replace(path, ".")
    return text
