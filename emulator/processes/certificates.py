"""Certificates for the production host names, from an authority that lives as long as the emulator's state."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from .clouds import CLOUDS

HOSTS = ("login.windows.net", "localhost", "127.0.0.1", *(host for cloud in CLOUDS for host in cloud.hosts))


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files: the authority alone, the authority with the system's own, and a certificate with its key."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The emulator's authority."""
        return self.folder / "authority.pem"

    @property
    def bundle(self) -> Path:
        """The emulator's authority and those that this machine trusts anyway."""
        return self.folder / "bundle.pem"

    @property
    def certificate(self) -> Path:
        """The chain that the servers show."""
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        """The certificate's private key."""
        return self.folder / "key.pem"

    def ensure(self, region: str) -> Certificates:
        """Make the files, unless they are there from an earlier start."""
        if self.key.exists():
            return self
        import trustme

        self.folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA(organization_name="AzureML emulator")
        leaf = authority.issue_cert(*HOSTS, *(f"*.{region}.{cloud.endpoints}" for cloud in CLOUDS))
        authority.cert_pem.write_to_path(self.authority)
        self.bundle.write_bytes(authority.cert_pem.bytes() + _system_authorities())
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        self.key.touch(0o600)
        leaf.private_key_pem.write_to_path(self.key)
        return self


def _system_authorities() -> bytes:
    """Return what SSL_CERT_FILE would otherwise hide; nothing, where the system keeps none in a file."""
    paths = ssl.get_default_verify_paths()
    candidates = (os.environ.get("SSL_CERT_FILE"), paths.openssl_cafile, "/etc/ssl/certs/ca-certificates.crt")
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return Path(candidate).read_bytes()
    return b""
