"""Secrets that the service makes for itself on its first start."""

import os
import secrets
import tempfile
from pathlib import Path

MIN_KEY_BYTES = 32


def generated_key(path: Path) -> bytes:
    """The key in ``path``, made on first use, mode 0600.

    The file appears whole or not at all, and the first of several processes that start together wins:
    a finished temporary file is linked to its name, and a link never replaces a file.

    Raises:
        OSError: the folder or the file cannot be written or read.
        ValueError: the file holds less than 32 bytes.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_urlsafe(48))
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            Path(temporary).unlink()
    key = path.read_bytes().strip()
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"must have at least {MIN_KEY_BYTES} bytes")
    return key
