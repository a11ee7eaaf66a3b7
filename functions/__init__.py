"""The deployed functions, one a module."""

import gc

# What an import makes stays: looking for garbage in it at every 700 objects, as Python does unless
# told otherwise, is a tenth of a cold start. An invocation makes few objects that refer in circles.
gc.set_threshold(50_000, 20, 20)
