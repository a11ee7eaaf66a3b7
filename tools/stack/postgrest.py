"""PostgREST in front of the stack's database, set up as a hosted project is."""

import time
import urllib.request
from pathlib import Path

import jwt

from tools.stack.folder import StateFolder
from tools.stack.ports import LOOPBACK
from tools.stack.progress import Progress
from tools.stack.server import Server, write_secret

# Hosted projects cut a plain select at this many rows without a word; so does the stack.
_ROWS_MAX = 1000
_POOL_SIZE = 20


class Postgrest(Server):
    """The REST interface. It serves at `/`, not at `/rest/v1`."""

    name = "PostgREST"

    def __init__(
        self,
        folder: StateFolder,
        progress: Progress,
        binary: Path,
        database_url: str,
        jwt_secret: str,
    ) -> None:
        super().__init__(folder, progress)
        self._binary = binary
        self._database_url = database_url
        self._jwt_secret = jwt_secret

    @property
    def url(self) -> str:
        """Base URL, without a slash at the end."""
        return f"http://{LOOPBACK}:{self.port}"

    def token(self, role: str) -> str:
        """A signed key for `anon`, `authenticated` or `service_role`, valid for a year."""
        now = int(time.time())
        claims = {"iss": "supabase", "role": role, "iat": now, "exp": now + 365 * 86_400}
        return jwt.encode(claims, self._jwt_secret, algorithm="HS256")

    def command(self) -> list[str]:
        self._write_config()
        return [str(self._binary), str(self.folder.postgrest_config)]

    def answers(self) -> bool:
        key = {"Authorization": f"Bearer {self.token('service_role')}"}
        request = urllib.request.Request(f"{self.url}/", headers=key, method="HEAD")
        # No proxy of the person's environment may come between.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def _write_config(self) -> None:
        # A file, because other users can read a command line, and it holds secrets.
        settings: dict[str, str | int] = {
            "db-uri": self._database_url,
            "db-schemas": "public",
            "db-anon-role": "anon",
            "db-pool": _POOL_SIZE,
            "db-max-rows": _ROWS_MAX,
            "jwt-secret": self._jwt_secret,
            "server-host": LOOPBACK,
            "server-port": self.port,
        }
        lines = (
            f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
            for key, value in settings.items()
        )
        write_secret(self.folder.postgrest_config, "\n".join(lines) + "\n")
