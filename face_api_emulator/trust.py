"""Files and variables that make clients trust the emulator's certificate authority and use its proxy.

This module needs no third-party package, because processes without the emulator use it too.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CA = "ca.pem"
"""Name of the file of the root certificate."""

BUNDLE, TRUST_STORE, PHP_FOLDER, PHP_INI = "bundle.pem", "truststore.p12", "php", "emulator.ini"

STORE_PASSWORD = "changeit"  # noqa: S105 - the store only has public certificates; Java requires a password
"""Password of ``truststore.p12``. It is the default in Java."""

SYSTEM_BUNDLES = tuple(
    map(
        Path,
        (
            "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch, Gentoo
            "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat, Amazon Linux
            "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # newer Fedora
            "/etc/ssl/ca-bundle.pem",  # openSUSE
            "/etc/ssl/cert.pem",  # macOS, FreeBSD, OpenBSD
            "/usr/local/share/certs/ca-root-nss.crt",  # older FreeBSD
        ),
    )
)
"""Files with the public roots on different systems. OpenSSL does not find them if it was built for another
system.
"""

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
LOOPBACK_HOSTS_OF_JAVA = ("localhost", "127.*", "[::1]")


@dataclass(frozen=True)
class TrustFiles:
    """The files that clients read. They contain no secret.

    Attributes
    ----------
    ca : Path
        The emulator's root certificate alone, for variables that add to the roots of a client.
    bundle : Path
        The public roots and the emulator's root, for variables that replace the roots of a client.
    trust_store : Path
        The same as ``bundle``, as PKCS12 for Java.
    php : Path
        Folder with an ini file that selects ``bundle``.
    """

    ca: Path
    bundle: Path
    trust_store: Path
    php: Path


def trust_files(folder: Path) -> TrustFiles:
    """Return the paths of the files for clients in a folder."""
    own = folder.absolute()
    return TrustFiles(own / CA, own / BUNDLE, own / TRUST_STORE, own / PHP_FOLDER)


def environment(
    files: TrustFiles, names: Collection[str], proxy: str | None, parent: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment variables that make a child process trust the authority and use the proxy.

    They override the variables in ``parent``. Variables with a list extend the list in ``parent``.

    Parameters
    ----------
    files : TrustFiles
        The files for clients.
    names : collection of str
        The emulated host names.
    proxy : str or None
        URL of the proxy that connects these names to the emulator, such as ``http://127.0.0.1:3468``. With
        None, the names must already resolve to the emulator, and the child does not use the proxy of
        ``parent`` for them.
    parent : mapping
        The environment of the parent process.
    """
    bundle, ca = str(files.bundle), str(files.ca)
    own = [] if proxy is None else [urlsplit(proxy).hostname or ""]
    exempt = _exempt(parent, names, own, proxied=proxy is not None)
    variables = {
        # These replace the client's roots.
        "SSL_CERT_FILE": bundle,  # OpenSSL: Python's ssl, httpx, aiohttp, PHP streams; Go and .NET on Linux
        "REQUESTS_CA_BUNDLE": bundle,  # Python's requests, which ignores SSL_CERT_FILE
        "CURL_CA_BUNDLE": bundle,  # the command curl; requests if REQUESTS_CA_BUNDLE is not set
        "GIT_SSL_CAINFO": bundle,  # git
        "CARGO_HTTP_CAINFO": bundle,  # cargo
        "AWS_CA_BUNDLE": bundle,  # the AWS command line and SDKs
        "PERL_LWP_SSL_CA_FILE": bundle,  # Perl's LWP
        # These add to the client's roots.
        "NODE_EXTRA_CA_CERTS": ca,  # Node, and what is built on it
        "DENO_CERT": ca,  # Deno
        # These select configuration.
        "PHP_INI_SCAN_DIR": _php_scan_dir(files.php, parent),  # PHP: its curl extension and its streams
        "JAVA_TOOL_OPTIONS": _java_options(files, exempt, proxy, parent),  # every Java virtual machine
        # Hosts that are not proxied. Most clients read only one of the two spellings.
        "NO_PROXY": ",".join(exempt),
        "no_proxy": ",".join(exempt),
    }
    if proxy is not None:
        variables |= {
            "HTTPS_PROXY": proxy,  # most clients, for https
            "https_proxy": proxy,  # wget, and clients that only read the lower case
            "HTTP_PROXY": proxy,  # most clients, for http
            "http_proxy": proxy,  # curl, which ignores the upper case because a CGI request can set it
            "NODE_USE_ENV_PROXY": "1",  # Node from version 24, which otherwise ignores the proxy variables
        }
    return variables


def public_roots(*more: Path) -> list[bytes]:
    """Return the roots that the system trusts, in DER. If there are none, use the files ``more`` instead."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # This loads SSL_CERT_FILE or OpenSSL's default, and the certificate stores of Windows.
    context.load_default_certs()
    for path in (None, *SYSTEM_BUNDLES, *more):
        if path is not None and path.is_file():
            try:
                context.load_verify_locations(path)
            except ssl.SSLError:  # no certificates
                continue
        found = context.get_ca_certs(binary_form=True)
        if found:
            return list(dict.fromkeys(found))
    return []


def local_bundle(root: bytes) -> bytes:
    """Return the system's roots and ``root``, all in PEM, or empty bytes if the system has no roots."""
    found = public_roots()
    return b"".join([*(ssl.DER_cert_to_PEM_cert(each).encode() for each in found), root]) if found else b""


def php_ini(bundle: Path) -> bytes:
    """Return an ini file that makes PHP trust the certificates in ``bundle``."""
    # PHP takes a value in single quotes literally, and has no escape for a single quote.
    quote = '"' if "'" in str(bundle) else "'"
    value = f"{quote}{bundle}{quote}"
    return f"openssl.cafile = {value}\ncurl.cainfo = {value}\n".encode()


def normalized(name: str) -> str:
    """Return a host name in lower case and without a trailing dot."""
    return name.lower().removesuffix(".")


def _php_scan_dir(folder: Path, parent: Mapping[str, str]) -> str:
    """Return the folders of ``parent``, and ``folder``. An empty entry in the list means PHP's default."""
    value = parent.get("PHP_INI_SCAN_DIR")
    if value == "":
        return str(folder)  # the parent does not use PHP's default
    folders = (value or "").split(os.pathsep)
    return os.pathsep.join([*(each for each in folders if each != str(folder)), str(folder)])


def _java_options(
    files: TrustFiles, exempt: Sequence[str], proxy: str | None, parent: Mapping[str, str]
) -> str:
    """Return the options in ``parent`` and those for the emulator.

    If an option occurs twice, Java uses the last one.
    """
    properties = {
        "javax.net.ssl.trustStore": str(files.trust_store),
        "javax.net.ssl.trustStoreType": "PKCS12",
        "javax.net.ssl.trustStorePassword": STORE_PASSWORD,
    }
    if proxy is not None:
        url = urlsplit(proxy)
        host, port = url.hostname or "", str(url.port or 80)
        properties |= {
            "http.proxyHost": host,
            "http.proxyPort": port,
            "https.proxyHost": host,
            "https.proxyPort": port,
            # For both http and https. Java ignores NO_PROXY.
            "http.nonProxyHosts": "|".join(_java_patterns(exempt)),
        }
    options = [_java_quoted(f"-D{name}={value}") for name, value in properties.items()]
    return " ".join(filter(None, [parent.get("JAVA_TOOL_OPTIONS", "").strip(), *options]))


def _java_quoted(option: str) -> str:
    """Quote an option for JAVA_TOOL_OPTIONS, which has quotes but no escapes."""
    if not any(character.isspace() or character in "'\"" for character in option):
        return option
    return "'" + option.replace("'", "'\"'\"'") + "'"


def _java_patterns(exempt: Iterable[str]) -> Iterator[str]:
    """Convert hosts of NO_PROXY to patterns of Java. Networks such as ``10.0.0.0/8`` have no pattern."""
    yield from LOOPBACK_HOSTS_OF_JAVA
    for entry in exempt:
        if entry in LOOPBACK_HOSTS or "/" in entry:
            continue
        domain = _domain(entry)
        if not domain:
            yield "*"
        elif ":" in domain:
            yield f"[{domain}]"
        else:
            yield from (domain, f"*.{domain}")


def _exempt(
    parent: Mapping[str, str], names: Collection[str], own: Sequence[str], *, proxied: bool
) -> list[str]:
    """Return the entries for NO_PROXY: the loopback addresses, ``own``, and the entries in ``parent``.

    If the emulated names are proxied, entries of ``parent`` that would exempt one of these names are left
    out. For example, with the common entry ``.amazonaws.com``, uploads would go to the real service. If the
    emulated names are not proxied, they are returned too.
    """
    emulated = sorted({normalized(name) for name in names})
    entries = [
        entry.strip()
        for variable in ("NO_PROXY", "no_proxy")
        for entry in parent.get(variable, "").split(",")
        if entry.strip()
    ]
    if proxied:
        entries = [entry for entry in entries if not any(_covers(entry, name) for name in emulated)]
    else:
        entries += emulated
    return list(dict.fromkeys([*LOOPBACK_HOSTS, *own, *entries]))


def _domain(entry: str) -> str:
    """Return the host of an entry of NO_PROXY, without wildcard and port, or an empty text for ``*``."""
    host = entry.partition(":")[0] if entry.count(":") == 1 else entry.strip("[]")
    return normalized(host).removeprefix("*").removeprefix(".")


def _covers(entry: str, name: str) -> bool:
    """Return whether an entry of NO_PROXY exempts ``name`` for at least one kind of client."""
    domain = _domain(entry)
    return not domain or name == domain or name.endswith(f".{domain}")
