"""What an installation decides: where its data lies and where it listens."""

from pathlib import Path

from msgspec import Struct


class Config(Struct, frozen=True):
    """Settings of one serving process. Ports are TCP; `data` holds everything that is kept."""

    data: Path
    centre: str = "centre"
    centre_name: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    public_host: str = ""
    tls_port: int = 0
    trust_port: int = 0
    store: str = ""
    """The URL of a PostgreSQL that holds the log and rows; "" keeps them in `data`."""

    shared_blobs: Path | None = None
    """Where photos lie when several processes serve the centre; None keeps them in `data`."""

    static: Path = Path(__file__).resolve().parent.parent / "static"

    @property
    def database(self) -> Path:
        return self.data / "lingda.db"

    @property
    def blobs(self) -> Path:
        return self.shared_blobs or self.data / "blobs"

    @property
    def snapshots(self) -> Path:
        return self.data / "snapshots"

    @property
    def node_key(self) -> Path:
        return self.data / "node.key"
