"""Who calls, once that is known, and in whose name."""

from dataclasses import dataclass
from typing import Literal

from shared.core.access import Permission, Role
from shared.core.admin import check_admin_address
from shared.http.problem import Problem


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated caller; `name` has no spaces, and is what audit rows record."""

    name: str
    role: Role
    via: Literal["key", "jwt"]

    @property
    def id(self) -> str:
        """What limits and stored requests are kept by: a key and a person never share one."""
        return f"{self.via}:{self.name}"


def check_permission(actor: Actor, permission: Permission) -> None:
    """Raises a 403 Problem."""
    if not actor.role.allows(permission):
        raise forbidden(
            f"The role {actor.role} may not do this",
            "Use a key or an account with the role admin.",
        )


def acting_admin(actor: Actor, given: str | None) -> str:
    """Whom the audit row names: the actor, or `<given> by <actor>` when it is somebody else.

    Raises a 403 Problem when the actor may not act for others; InvalidAdmin.
    """
    if given is None or given == actor.name:
        return actor.name
    check_admin_address(given)
    if not actor.role.allows(Permission.ACT_FOR_OTHERS):
        raise forbidden(
            f"The role {actor.role} may not act for another address",
            "Leave adminAddress out, or use a key or an account with the role delegate.",
        )
    return check_admin_address(f"{given} by {actor.name}")


def forbidden(fault: str, remedy: str) -> Problem:
    """The caller is known, and may not."""
    return Problem(
        403,
        "forbidden",
        f"{fault}. {remedy}",
        headers={"WWW-Authenticate": 'Bearer realm="reconcile", error="insufficient_scope"'},
    )
