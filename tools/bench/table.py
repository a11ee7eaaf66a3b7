"""The figures as Markdown, ready for docs/performance.md."""

from collections.abc import Mapping, Sequence
from typing import Any

Figures = Mapping[str, Any]
Row = tuple[str, ...]


def markdown(figures: Figures) -> str:
    """A line that says what ran, and tables: speed, single users and memory, unit costs, and cold
    start if that was measured."""
    parts = [_headline(figures), _speed(figures), _others(figures), _costs(figures)]
    if "cold_import_s" in figures:
        parts.append(_cold(figures))
    return "\n\n".join(parts)


def _headline(figures: Figures) -> str:
    return (
        f"{figures['users']:,} users, {figures['users_drifted']:,} of them drifted,"
        f" batches of {figures['batch_size']:,}, best of {len(figures['rounds'])} rounds;"
        f" {figures['date'][:10]}, {figures['cpu_count']} cores ({figures['cpu_model']}),"
        f" {figures['memory_gb']:g} GB, Python {figures['python_version']},"
        f" flow-emulator {figures['emulator_version']}, PostgreSQL {figures['postgres_version']}"
    )


def _speed(figures: Figures) -> str:
    naive_hours = figures["naive_paced_s"] / 3_600
    pace = f"{figures['scripts_per_s']:g} scripts/s"
    rows = [
        ("Sweep: found and corrected", _rate(figures["sweep_users_per_s"])),
        ("… in all", f"{figures['sweep_s']:,.2f} s"),
        ("… until the first discrepancies are stored", f"{figures['first_result_s']:,.2f} s"),
        ("… scripts", f"{figures['script_calls']:,}"),
        ("… requests to PostgREST", f"{figures['rpc_calls']:,}"),
        ("Floor: the bare scripts alone", _rate(figures["floor_users_per_s"])),
        ("**Sweep as a share of the floor**", f"**{figures['share_of_floor']:.1%}**"),
        ("… median of the rounds", f"{figures['share_of_floor_median']:.1%}"),
        (
            f"Plain algorithm, {figures['naive_users']:,} users",
            _rate(figures["naive_users_per_s"]),
        ),
        ("**Sweep against the plain algorithm**", f"**{figures['speedup_vs_naive']:,.0f} ×**"),
        (f"Sweep at {pace}", f"{figures['sweep_paced_s']:,.2f} s"),
        ("… what its scripts alone need at that pace", f"{figures['paced_limit_s']:,.2f} s"),
        ("**… ratio**", f"**{figures['paced_ratio']:.2f}**"),
        (f"Plain algorithm at {pace} (by arithmetic)", f"{naive_hours:,.1f} h"),
    ]
    return table(("Speed", ""), rows)


def _others(figures: Figures) -> str:
    growth = figures["rss_growth_10k_to_full_mb"]
    rows = [
        ("One user reconciled, median", _ms(figures["webhook_like_single_user_p50_ms"])),
        ("… its bare script", _ms(figures["bare_script_p50_ms"])),
        ("… its bare RPC", _ms(figures["bare_rpc_p50_ms"])),
        ("**… ratio to both together**", f"**{figures['single_user_ratio']:.2f}**"),
        ("`reconcile_user` on Lambda, import and first call", _s(figures["cold_start_s"])),
        ("… second call", _ms(figures["second_call_ms"])),
        ("… median of those after it", _ms(figures["warm_call_p50_ms"])),
        ("Memory before a sweep", _mb(figures["rss_mb_start"])),
        ("… at its peak", _mb(figures["rss_mb_peak"])),
        ("… at its peak, with 10,000 users", _mb(figures["rss_mb_peak_10k"])),
        ("**… growth from 10,000 users to all**", f"**{_mb(growth)}**"),
        ("Seeding the contract and the ledger", f"{figures['seed_s']:,.0f} s"),
    ]
    return table(("Single users and memory", ""), rows)


def _costs(figures: Figures) -> str:
    rows = [
        (f"`{name}`", f"{each['calls']:,}", _ms(each["p50_ms"]), f"{each['total_s']:,.2f} s")
        for name, each in figures["rpcs"].items()
    ]
    scripts = figures["script_calls"]
    rows.append(("balance script", f"{scripts:,}", _ms(figures["script_p50_ms"]), ""))
    rows.extend(
        (f"processor time of {name}", "", "", f"{seconds:,.2f} s")
        for name, seconds in figures["cpu_s"].items()
    )
    return table(("Of one sweep", "calls", "median", "sum"), rows)


def _cold(figures: Figures) -> str:
    rows = [
        (f"`{name}` until its first answer", _s(seconds), _s(figures["cold_module_s"][name]))
        for name, seconds in figures["cold_import_s"].items()
    ]
    rows += [
        ("supabase, flow_py_sdk, functions_framework", _s(figures["cold_libraries_s"]), ""),
        ("**… ratio of the slowest to them**", f"**{figures['cold_import_ratio']:.2f}**", ""),
    ]
    if "package_unzipped_mb" in figures:
        rows.append(("Package, unzipped", _mb(figures["package_unzipped_mb"]), ""))
        rows.append(("… as a zip", _mb(figures["package_zip_mb"]), ""))
    return table(("Imports of a new process", "all", "of which the module"), rows)


def table(head: Row, rows: Sequence[Row]) -> str:
    """A Markdown table; all columns but the first are aligned right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    rule = ("-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:]))
    return "\n".join(_line(row, widths) for row in [head, rule, *rows])


def _line(row: Row, widths: list[int]) -> str:
    first, *others = row
    cells = [
        first.ljust(widths[0]),
        *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)),
    ]
    return f"| {' | '.join(cells)} |"


def _rate(users_per_s: float) -> str:
    return f"{users_per_s:,.0f} users/s"


def _s(duration_s: float) -> str:
    return f"{duration_s:,.2f} s"


def _ms(duration_ms: float) -> str:
    return f"{duration_ms:,.1f} ms"


def _mb(size_mb: float) -> str:
    return f"{size_mb:,.1f} MB"
