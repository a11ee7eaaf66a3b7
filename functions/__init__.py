"""The deployed functions, one a module."""

import gc
import os

# What an import makes stays: looking for garbage in it at every 700 objects, as Python does unless
# told otherwise, is a tenth of a cold start. An invocation makes few objects that refer in circles.
gc.set_threshold(50_000, 20, 20)

# For its plugins pydantic reads the metadata of every package that is installed, once a process.
# No function has any.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
