"""The one certificate that scheduler, workers and callers of an engine share: who holds its folder is let in."""

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fnet_core.errors import RequestError

if TYPE_CHECKING:
    from distributed.security import Security

CERTIFICATE, KEY = "certificate.pem", "key.pem"
_LASTS = timedelta(days=3650)


def check_folder(folder: Path) -> None:
    """RequestError unless the folder holds certificate and key."""
    if missing := [name for name in (CERTIFICATE, KEY) if not (folder / name).is_file()]:
        raise RequestError(
            f"{folder} holds no {' and no '.join(missing)}; copy the folder from the machine with the scheduler, where "
            "fnet worker --scheduler --tls FOLDER makes it."
        )


def security(folder: Path | None) -> "Security | None":
    """What Dask checks both ends of every connection by; RequestError where the folder lacks it."""
    if folder is None:
        return None
    check_folder(folder)
    from distributed.security import Security

    files = {"cert": str(folder / CERTIFICATE), "key": str(folder / KEY)}
    sides = {f"tls_{side}_{part}": path for side in ("client", "scheduler", "worker") for part, path in files.items()}
    return Security(require_encryption=True, tls_ca_file=files["cert"], **sides)


def context(folder: Path) -> ssl.SSLContext:
    """How a caller shows and checks the certificate of a folder; RequestError where that cannot be read."""
    check_folder(folder)
    try:
        found = ssl.create_default_context(cafile=folder / CERTIFICATE)
        found.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    except OSError as error:
        raise RequestError(f"{folder} holds no certificate that can be read ({error}); copy it again.") from error
    found.check_hostname = False
    return found


def make(folder: Path) -> None:
    """Make certificate and key in a folder that has neither; RequestError where they cannot be written."""
    if (folder / CERTIFICATE).is_file() and (folder / KEY).is_file():
        return
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "FNet engine")])
    now = datetime.now(UTC)
    signs = {"digital_signature": True, "key_cert_sign": True}
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign")
    usage = x509.KeyUsage(**signs, **dict.fromkeys((*others, "encipher_only", "decipher_only"), False))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
        (folder / CERTIFICATE).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    except OSError as error:
        raise RequestError(f"{folder} cannot hold a certificate ({error.strerror}); name another folder.") from error
