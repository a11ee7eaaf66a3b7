"""`python -m tools.bench`: measure on a local stack of its own, print Markdown, write JSON."""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tools.bench.cold import cold_start, package_size
from tools.bench.errors import BenchError
from tools.bench.measure import measure
from tools.bench.options import Options
from tools.bench.table import markdown
from tools.chain.errors import ChainError
from tools.stack import StackError, start_stack, stderr_progress

_ROOT = Path(__file__).parents[2]
_LATEST = _ROOT / "bench" / "latest.json"


def main(argv: list[str] | None = None) -> int:
    """Returns 0 when everything was measured, 1 when something went wrong."""
    arguments = _parser().parse_args(argv)
    options = _options(arguments)
    progress = stderr_progress()
    with tempfile.TemporaryDirectory(prefix="balance-reconciliation-bench-") as folder:
        try:
            with start_stack(Path(folder), progress=progress) as stack:
                figures = measure(stack, options, progress)
            figures |= cold_start(progress) | package_size(progress)
            figures = _rounded(figures)
        except (BenchError, ChainError, StackError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    _write(arguments.output, figures)
    print(markdown(figures))
    progress(f"The figures are in {arguments.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    ours = Options()
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--users", type=_positive, default=ours.users)
    parser.add_argument("--batch", type=_positive, default=ours.batch_size)
    parser.add_argument("--drift", type=_share, default=ours.drift_ratio, help="share of the users")
    parser.add_argument("--rounds", type=_positive, default=ours.rounds)
    parser.add_argument(
        "--naive-users", type=_positive, default=ours.naive_users, help="the plain one's sample"
    )
    parser.add_argument("--single-users", type=_positive, default=ours.single_users)
    parser.add_argument("--output", type=Path, default=_LATEST, help="the JSON file")
    return parser


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        users=arguments.users,
        batch_size=arguments.batch,
        drift_ratio=arguments.drift,
        rounds=arguments.rounds,
        naive_users=arguments.naive_users,
        single_users=arguments.single_users,
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 0.5:
        raise argparse.ArgumentTypeError("must be above 0 and at most 0.5")
    return share


def _rounded(value: Any) -> Any:
    """Floats to four places; more would pretend to an accuracy that is not there."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value


def _write(path: Path, figures: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
