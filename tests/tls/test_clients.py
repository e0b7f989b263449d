"""Real clients, unmodified, with the environment that ``environment`` returns and without it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from tls_peers import (
    NAMES,
    OUTSIDER,
    OUTSIDER_ADDRESS,
    OUTSIDER_BY_COMMON_NAME,
    forged,
    forged_address,
    serving,
)

from emulator.clock import machine_time
from emulator.tls.authority import Authority, open_authority
from emulator.tls.context import leaf_context, server_context
from emulator.tls.trust import write_trust_files
from face_api_emulator.trust import TrustFiles, environment

GENUINE = (*NAMES, "localhost", "127.0.0.1")
OUTSIDERS = (OUTSIDER, OUTSIDER_BY_COMMON_NAME, OUTSIDER_ADDRESS)
SECONDS = 60

KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
PARENT = {name: os.environ[name] for name in KEPT if name in os.environ}
"""The environment of a client without trust: nothing of the machine's own certificates and proxies."""

Results = dict[tuple[str, str], str]
"""``emulated``, or the error, by host and by the function of the client that was called."""

PYTHON = """
import importlib.util, socket, sys, urllib.request
address, port, *hosts = sys.argv[1:]
if address != "-":
    def resolve(host, *_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, int(port)))]
    socket.getaddrinfo = resolve

def with_urllib(url):
    return urllib.request.urlopen(url, timeout=20).read().decode()

def with_httpx(url):
    import httpx
    return httpx.get(url).text

def with_requests(url):
    import requests
    return requests.get(url, timeout=20).text

for call in (with_urllib, with_httpx, with_requests):
    for host in hosts:
        try:
            said = call(f"https://{host}:{port}/")
        except Exception as error:
            said = repr(error)
        print(host, call.__name__, said.replace("\\n", " "), sep="\\t")
"""

NODE = """
const dns = require('dns'), https = require('https');
const [address, port, ...hosts] = process.argv.slice(2);
// Both https and fetch resolve names with this function.
dns.lookup = (host, options, done) =>
  options.all ? done(null, [{address, family: 4}]) : done(null, address, 4);
const withHttps = url => new Promise((resolve, reject) => {
  https.get(url, {agent: false}, answer => {
    answer.setEncoding('utf8').on('data', resolve);
  }).on('error', reject);
});
const withFetch = async url => await (await fetch(url)).text();
(async () => {
  for (const call of [withHttps, withFetch]) {
    for (const host of hosts) {
      let said;
      try { said = await call(`https://${host}:${port}/`); }
      catch (error) { said = `${error} ${error.cause || ''}`; }
      console.log([host, call.name, said.replace(/\\s+/g, ' ')].join('\\t'));
    }
  }
})();
"""

JAVA = """
import java.net.*;
import java.net.http.*;

public class Client {
  interface Call { String to(String url) throws Exception; }

  public static void main(String[] all) throws Exception {
    Call connection = url -> {
      try (var in = ((HttpURLConnection) new URL(url).openConnection()).getInputStream()) {
        return new String(in.readAllBytes());
      }
    };
    Call client = url -> HttpClient.newHttpClient()
      .send(HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.ofString()).body();
    for (int i = 1; i < all.length; i++) {
      String url = "https://" + all[i] + ":" + all[0] + "/";
      print(all[i], "URLConnection", connection, url);
      print(all[i], "HttpClient", client, url);
    }
  }

  static void print(String host, String name, Call call, String url) {
    String said = "";
    try {
      said = call.to(url);
    } catch (Exception error) {
      for (Throwable each = error; each != null; each = each.getCause()) said += each + " ";
    }
    System.out.println(host + "\\t" + name + "\\t" + said.replaceAll("\\\\s+", " ").strip());
  }
}
"""

PHP = """<?php
[, $address, $port] = $argv;
function with_streams($host) {
  global $address, $port;
  $options = ['ssl' => ['peer_name' => $host], 'http' => ['header' => 'Connection: close']];
  return file_get_contents("https://$address:$port/", false, stream_context_create($options));
}
function with_curl($host) {
  global $address, $port;
  $call = curl_init("https://$host:$port/");
  curl_setopt($call, CURLOPT_RETURNTRANSFER, true);
  if ($address !== '-') curl_setopt($call, CURLOPT_CONNECT_TO, ["::$address:$port"]);
  $said = curl_exec($call);
  return $said === false ? curl_error($call) : $said;
}
set_error_handler(function ($_, $text) use (&$errors) { $errors .= "$text "; return true; });
$calls = $address === '-' ? [] : ['with_streams'];
if (extension_loaded('curl')) $calls[] = 'with_curl';
foreach ($calls as $call) {
  foreach (array_slice($argv, 3) as $host) {
    $errors = '';
    $said = $call($host);
    echo "$host\\t$call\\t", preg_replace('/\\s+/', ' ', "$said$errors"), "\\n";
  }
}
"""


@dataclass(frozen=True)
class Target:
    """Where a client connects to instead of the address of the name.

    Without an address, the client connects to port 443 of the name, so it needs a proxy.
    """

    folder: Path
    address: str
    port: int

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path


@dataclass(frozen=True)
class Client:
    """A client, and how its errors say why it refuses.

    Attributes
    ----------
    name : str
        Name of the test.
    program : str
        The program that must be installed.
    call : callable
        Calls all hosts.
    untrusted, constrained : str
        Patterns of its errors: nobody trusts the root; the certificate is for a name that is not permitted.
    """

    name: str
    program: str
    call: Callable[[Target, Sequence[str], Mapping[str, str]], Results]
    untrusted: str
    constrained: str


def run(command: Sequence[object], env: Mapping[str, str], text: str = "") -> str:
    done = subprocess.run(  # noqa: S603 - the clients of this module
        [str(part) for part in command],
        env=dict(env),
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=SECONDS,
    )
    return done.stdout


def parsed(printed: str) -> Results:
    rows = [line.split("\t") for line in printed.splitlines() if line.count("\t") == 2]
    return {(host, name): said for host, name, said in rows}


def curl(target: Target, hosts: Sequence[str], env: Mapping[str, str]) -> Results:
    to = [] if target.address == "-" else ["--connect-to", f"::{target.address}:{target.port}"]
    return {(host, "curl"): run(["curl", "-sS", *to, f"https://{host}/"], env) for host in hosts}


def openssl(target: Target, hosts: Sequence[str], env: Mapping[str, str]) -> Results:
    results = {}
    for host in hosts:
        name = (
            f"-noservername -verify_ip {host}"
            if is_address(host)
            else f"-servername {host} -verify_hostname {host}"
        )
        to = f"{target.address}:{target.port}"
        command = ["openssl", "s_client", "-verify_return_error", "-quiet", "-connect", to, *name.split()]
        said = run(command, env, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
        # The response is printed between other lines.
        results[host, "s_client"] = "emulated" if re.search("^emulated", said, re.MULTILINE) else said
    return results


def gnutls(target: Target, hosts: Sequence[str], env: Mapping[str, str]) -> Results:
    results = {}
    # GnuTLS has no variable for its roots.
    trust = ["--x509cafile", env["SSL_CERT_FILE"]] if "SSL_CERT_FILE" in env else []
    for host in hosts:
        name = "--disable-sni" if is_address(host) else f"--sni-hostname={host}"
        to = [f"--verify-hostname={host}", f"--port={target.port}", target.address]
        said = run(["gnutls-cli", *trust, name, *to], env)
        # It does not wait for a response.
        accepts = "- Status: The certificate is trusted." in said and "- Handshake was completed" in said
        results[host, "gnutls"] = "emulated" if accepts else said
    return results


def is_address(host: str) -> bool:
    return host[0].isdigit()


def python(target: Target, hosts: Sequence[str], env: Mapping[str, str]) -> Results:
    return parsed(run([sys.executable, "-c", PYTHON, target.address, target.port, *hosts], env))


def node(target: Target, hosts: Sequence[str], env: Mapping[str, str]) -> Results:
    return parsed(run(["node", target.file("client.js", NODE), target.address, target.port, *hosts], env))


def java(target: Target, hosts: Sequence[str], env: Mapping[str, str]) -> Results:
    classes = target.folder / "classes"
    if not classes.exists():
        assert run(["javac", "-d", classes, target.file("Client.java", JAVA)], PARENT) == ""
    names = [f"{target.address} {host}\n" for host in hosts if not is_address(host)]
    resolve = f"-Djdk.net.hosts.file={target.file('hosts', ''.join(names))}"
    command = [
        "java",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        *([resolve] if target.address != "-" else []),
    ]
    return parsed(run([*command, "-cp", classes, "Client", target.port, *hosts], env))


def php(target: Target, hosts: Sequence[str], env: Mapping[str, str]) -> Results:
    return parsed(run(["php", target.file("client.php", PHP), target.address, target.port, *hosts], env))


OPENSSL = r"unable to get (local )?issuer certificate|self[- ]signed certificate in certificate chain"
SUBTREE = r"permitted subtree violation"
NO_COMMON_NAME = rf"{SUBTREE}|certificate is not valid for .*{re.escape(OUTSIDER_BY_COMMON_NAME)}"
"""Python ignores common names, so it already refuses for this reason."""
ANY_FAULT_OF_THE_CHAIN = "certificate verify failed|SSL certificate problem"
CLIENTS = (
    Client("curl", "curl", curl, OPENSSL, SUBTREE),
    Client("openssl", "openssl", openssl, OPENSSL, SUBTREE),
    Client("gnutls", "gnutls-cli", gnutls, "issuer is unknown", "violates the signer's constraints"),
    Client("python", sys.executable, python, OPENSSL, NO_COMMON_NAME),
    Client("node", "node", node, f"{OPENSSL}|unable to verify the first certificate", SUBTREE),
    Client("java", "javac", java, "unable to find valid certification path", "name constraints check failed"),
    Client("php", "php", php, ANY_FAULT_OF_THE_CHAIN, ANY_FAULT_OF_THE_CHAIN),
)
PROXIED = [client for client in CLIENTS if client.name in {"curl", "python", "java"}]


def by_name(clients: Sequence[Client]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "client",
        [
            pytest.param(
                client,
                id=client.name,
                marks=pytest.mark.skipif(
                    shutil.which(client.program) is None, reason=f"{client.program} is not installed"
                ),
            )
            for client in clients
        ],
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    # Every variable and file must be able to hold such a path.
    return open_authority(tmp_path_factory.mktemp("tls") / "it's a folder", NAMES, machine_time())


@pytest.fixture(scope="module")
def files(authority: Authority) -> TrustFiles:
    return write_trust_files(authority)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scripts")


@pytest.fixture(scope="module")
def genuine(authority: Authority, scripts: Path) -> Iterator[Target]:
    with serving(server_context(authority, NAMES, machine_time)) as port:
        yield Target(scripts, "127.0.0.1", port)


@pytest.fixture(scope="module")
def outsider(authority: Authority, scripts: Path) -> Iterator[Target]:
    """A server with certificates for other names, signed with the stolen key of the intermediate."""
    if sys.platform != "linux":
        pytest.skip(f"only Linux has {OUTSIDER_ADDRESS}")
    like = authority.issue(NAMES[0], machine_time())
    by_name = {
        OUTSIDER: forged(authority, like, x509.DNSName(OUTSIDER), common_name="forged"),
        OUTSIDER_BY_COMMON_NAME: forged(authority, like, common_name=OUTSIDER_BY_COMMON_NAME),
    }
    contexts = {name: leaf_context(authority, leaf) for name, leaf in by_name.items()}
    context = leaf_context(authority, forged_address(authority, like, OUTSIDER_ADDRESS))

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        if name in contexts:
            connection.context = contexts[name]

    context.sni_callback = choose
    with serving(context, OUTSIDER_ADDRESS) as port:
        yield Target(scripts, OUTSIDER_ADDRESS, port)


@by_name(CLIENTS)
def test_a_client_trusts_the_names(client: Client, genuine: Target, files: TrustFiles) -> None:
    results = client.call(genuine, GENUINE, PARENT | environment(files, NAMES, None, PARENT))
    assert {host for host, _ in results} == set(GENUINE), results
    assert set(results.values()) == {"emulated"}, results


@by_name(CLIENTS)
def test_a_client_refuses_other_names(client: Client, outsider: Target, files: TrustFiles) -> None:
    results = client.call(outsider, OUTSIDERS, PARENT | environment(files, NAMES, None, PARENT))
    assert {host for host, _ in results} == set(OUTSIDERS), results
    for said in results.values():
        assert re.search(client.constrained, said), results


@by_name(CLIENTS)
def test_a_client_without_the_settings_refuses(client: Client, genuine: Target) -> None:
    results = client.call(genuine, GENUINE, PARENT)
    assert {host for host, _ in results} == set(GENUINE), results
    for said in results.values():
        assert re.search(client.untrusted, said), results


@contextlib.contextmanager
def relaying(to: Target) -> Iterator[tuple[int, list[str]]]:
    """Run a proxy that connects every name to one server. Yield its port and the names it was asked for."""
    asked: list[str] = []

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def relay(client: socket.socket) -> None:
        with client, socket.create_connection((to.address, to.port)) as server:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1)
            asked.append(head.decode().partition(" HTTP/")[0])
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=pump, args=(server, client))
            back.start()
            pump(client, server)
            back.join()

    def accept(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.settimeout(SECONDS)
            threads.append(threading.Thread(target=relay, args=(connection,)))
            threads[-1].start()

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        acceptor = threading.Thread(target=accept, args=(listening,))
        acceptor.start()
        try:
            yield listening.getsockname()[1], asked
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join()


@by_name(PROXIED)
def test_a_client_reaches_the_names_through_the_proxy(
    client: Client, genuine: Target, files: TrustFiles
) -> None:
    parent = PARENT | {"NO_PROXY": ".amazonaws.com,*.faceplusplus.com", "HTTPS_PROXY": "http://127.0.0.1:1"}
    with relaying(genuine) as (port, asked):
        env = parent | environment(files, NAMES, f"http://127.0.0.1:{port}", parent)
        results = client.call(Target(genuine.folder, "-", 443), NAMES, env)
    assert set(results.values()) == {"emulated"}, results
    assert set(asked) == {f"CONNECT {name}:443" for name in NAMES}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_server_sends_the_leaf_and_the_intermediate(genuine: Target, authority: Authority) -> None:
    command = ["openssl", "s_client", "-connect", f"{genuine.address}:{genuine.port}", "-showcerts"]
    said = run([*command, "-servername", NAMES[0]], PARENT)
    pems = re.findall("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", said, re.DOTALL)
    leaf, *above = [x509.load_pem_x509_certificate(pem.encode()) for pem in pems]
    leaf.verify_directly_issued_by(authority.intermediate)
    assert above == [authority.intermediate]
