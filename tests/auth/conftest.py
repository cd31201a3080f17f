"""Rows of [User] as the .NET original writes them."""

import json
from pathlib import Path
from typing import Any

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "password-vectors.json").read_text()
)["vectors"]
