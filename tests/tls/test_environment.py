"""The environment variables of a client's process."""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.utils import should_bypass_proxies
from tls_peers import NAMES

from face_api_emulator.trust import TrustFiles, environment

FILES = TrustFiles(
    Path("/data/tls/ca.pem"),
    Path("/data/tls/bundle.pem"),
    Path("/data/tls/truststore.p12"),
    Path("/data/tls/php"),
)
PROXY = "http://127.0.0.1:3468"


def test_the_variables_without_a_proxy() -> None:
    hosts = f"localhost,127.0.0.1,::1,{','.join(sorted(NAMES))}"
    assert environment(FILES, NAMES, None, {}) == {
        "SSL_CERT_FILE": "/data/tls/bundle.pem",
        "REQUESTS_CA_BUNDLE": "/data/tls/bundle.pem",
        "CURL_CA_BUNDLE": "/data/tls/bundle.pem",
        "GIT_SSL_CAINFO": "/data/tls/bundle.pem",
        "CARGO_HTTP_CAINFO": "/data/tls/bundle.pem",
        "AWS_CA_BUNDLE": "/data/tls/bundle.pem",
        "PERL_LWP_SSL_CA_FILE": "/data/tls/bundle.pem",
        "NODE_EXTRA_CA_CERTS": "/data/tls/ca.pem",
        "DENO_CERT": "/data/tls/ca.pem",
        "PHP_INI_SCAN_DIR": f"{os.pathsep}/data/tls/php",
        "JAVA_TOOL_OPTIONS": "-Djavax.net.ssl.trustStore=/data/tls/truststore.p12 "
        "-Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword=changeit",
        "NO_PROXY": hosts,
        "no_proxy": hosts,
    }


def test_the_variables_with_a_proxy() -> None:
    alone = environment(FILES, NAMES, None, {})
    assert environment(FILES, NAMES, PROXY, {}) == alone | {
        "NO_PROXY": "localhost,127.0.0.1,::1",
        "no_proxy": "localhost,127.0.0.1,::1",
        "HTTPS_PROXY": PROXY,
        "https_proxy": PROXY,
        "HTTP_PROXY": PROXY,
        "http_proxy": PROXY,
        "NODE_USE_ENV_PROXY": "1",
        "JAVA_TOOL_OPTIONS": f"{alone['JAVA_TOOL_OPTIONS']} "
        "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=3468 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=3468 "
        "-Dhttp.nonProxyHosts=localhost|127.*|[::1]",
    }


@pytest.mark.parametrize("proxy", [PROXY, None])
def test_variables_of_the_parent_are_overridden(proxy: str | None) -> None:
    lists = {"PHP_INI_SCAN_DIR", "JAVA_TOOL_OPTIONS", "NO_PROXY", "no_proxy"}
    alone = environment(FILES, NAMES, proxy, {})
    parent = dict.fromkeys(set(alone) - lists, "/of/the/parent") | {"PATH": "/bin"}
    assert environment(FILES, NAMES, proxy, parent) == alone


def test_lists_keep_what_the_parent_has() -> None:
    parent = {
        "PHP_INI_SCAN_DIR": f"/etc/php{os.pathsep}",
        "JAVA_TOOL_OPTIONS": " -Xmx1g -Dhttp.proxyHost=corporate ",
        "NO_PROXY": "db.internal, .corp.example:8443,10.0.0.0/8",
        "no_proxy": "localhost,db.internal,[fd00::1],*.test,faceplusplus.com.example",
    }
    found = environment(FILES, NAMES, PROXY, parent)
    alone = environment(FILES, NAMES, PROXY, {})
    assert found["PHP_INI_SCAN_DIR"] == f"/etc/php{os.pathsep}{os.pathsep}/data/tls/php"
    hosts = "localhost,127.0.0.1,::1,db.internal,.corp.example:8443,10.0.0.0/8,[fd00::1],*.test,"
    assert found["NO_PROXY"] == found["no_proxy"] == f"{hosts}faceplusplus.com.example"
    assert found["JAVA_TOOL_OPTIONS"] == (
        f"-Xmx1g -Dhttp.proxyHost=corporate {alone['JAVA_TOOL_OPTIONS']}"
        "|db.internal|*.db.internal|corp.example|*.corp.example|[fd00::1]|test|*.test"
        "|faceplusplus.com.example|*.faceplusplus.com.example"
    )


def test_a_parent_that_switches_the_default_folder_of_php_off_is_respected() -> None:
    assert environment(FILES, NAMES, None, {"PHP_INI_SCAN_DIR": ""})["PHP_INI_SCAN_DIR"] == "/data/tls/php"


def test_a_nested_call_adds_its_folder_and_hosts_once() -> None:
    outer = environment(FILES, NAMES, PROXY, {})
    inner = environment(FILES, NAMES, PROXY, outer)
    del outer["JAVA_TOOL_OPTIONS"], inner["JAVA_TOOL_OPTIONS"]
    assert inner == outer


ENTRIES = st.sampled_from(
    [
        "*", ".", "*.amazonaws.com", ".amazonaws.com", "amazonaws.com", "AMAZONAWS.COM.", "com",
        "makeupar.com:443", NAMES[0], f".{NAMES[0]}", NAMES[0].upper(), "db.internal", "10.0.0.0/8",
        "fd00::1", "localhost", "",
    ]
)  # fmt: skip


@given(entries=st.lists(ENTRIES), variable=st.sampled_from(["NO_PROXY", "no_proxy"]))
def test_no_entry_of_the_parent_sends_calls_past_the_emulator(entries: list[str], variable: str) -> None:
    parent = {variable: ",".join(entries)}
    with_proxy = environment(FILES, NAMES, PROXY, parent)["NO_PROXY"]
    without = environment(FILES, NAMES, None, parent)["NO_PROXY"]
    for name in NAMES:
        for bypasses in (bypasses_in_urllib, bypasses_in_requests):
            assert not bypasses(name, with_proxy)
            assert bypasses(name, without)
    for name in ("localhost", "127.0.0.1"):
        for value in (with_proxy, without):
            assert bypasses_in_urllib(name, value)
            assert bypasses_in_requests(name, value)
    if "db.internal" in entries:
        assert bypasses_in_urllib("db.internal", with_proxy)


def bypasses_in_urllib(name: str, no_proxy: str) -> bool:
    # The type stubs lack the function.
    return bool(urllib.request.proxy_bypass_environment(name, {"no": no_proxy}))  # type: ignore[attr-defined]


def bypasses_in_requests(name: str, no_proxy: str) -> bool:
    return bool(should_bypass_proxies(f"https://{name}/", no_proxy))


def test_direct_calls_to_the_emulator_do_not_use_it_as_a_proxy() -> None:
    found = environment(FILES, NAMES, "http://vm.internal:3468", {})
    assert "vm.internal" in found["NO_PROXY"].split(",")
    assert "vm.internal" in found["JAVA_TOOL_OPTIONS"]
    assert should_bypass_proxies("http://vm.internal:3468/s2s", found["NO_PROXY"])
    assert not should_bypass_proxies(f"https://{NAMES[0]}/", found["NO_PROXY"])
