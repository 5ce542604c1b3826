# SPDX-License-Identifier: MIT
"""Lets the tests of this folder use test/server/weir_server.py."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "server"))
