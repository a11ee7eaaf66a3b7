"""What a sweep costs on this machine, beside the plain algorithm and the bare scripts.

`python -m tools.bench`; docs/performance.md says what each figure means.
"""
