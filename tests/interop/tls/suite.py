"""What sslyze, which knows TLS well, is offered by a listener: nothing weak, and no old version; and openssl, which comes back with its sessions.

It is a probe of the program as it is started, not of what its libraries say that they can.
"""

import subprocess

from sslyze import (
    Scanner,
    ScanCommand,
    ScanCommandAttemptStatusEnum,
    ServerNetworkLocation,
    ServerScanRequest,
    ServerScanStatusEnum,
)

from harness import WORK, Lubdub

# Versions that are too old, with which nobody may get through.
OLD = {
    ScanCommand.SSL_2_0_CIPHER_SUITES: "SSL 2.0",
    ScanCommand.SSL_3_0_CIPHER_SUITES: "SSL 3.0",
    ScanCommand.TLS_1_0_CIPHER_SUITES: "TLS 1.0",
    ScanCommand.TLS_1_1_CIPHER_SUITES: "TLS 1.1",
}
NEW = {
    ScanCommand.TLS_1_2_CIPHER_SUITES: "TLS 1.2",
    ScanCommand.TLS_1_3_CIPHER_SUITES: "TLS 1.3",
}
# All of these have forward secrecy and authenticated encryption (RFC 9325 4.2).
STRONG = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}
# So many connections come back.
AGAIN = 20


def run(tally, _arguments):
    directory = WORK / "tls"
    directory.mkdir(parents=True, exist_ok=True)
    cert, key = directory / "cert.pem", directory / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True, timeout=60)
    table = f'[listen.public.tls.certificate.main]\ncert = "{cert}"\nkey = "{key}"'
    # Nobody is behind it: what is looked at is over before that matters.
    with Lubdub("tls-lubdub", {"all": 9}, "10s", table) as lubdub:
        scan(tally, lubdub)


def scan(tally, lubdub):
    port = int(lubdub.address.rsplit(":", 1)[1])
    location = ServerNetworkLocation(hostname="localhost", ip_address="127.0.0.1", port=port)
    commands = {
        *OLD,
        *NEW,
        ScanCommand.SESSION_RENEGOTIATION,
        ScanCommand.TLS_1_3_EARLY_DATA,
        ScanCommand.TLS_COMPRESSION,
        ScanCommand.TLS_EXTENDED_MASTER_SECRET,
        ScanCommand.HEARTBLEED,
        ScanCommand.ROBOT,
        ScanCommand.OPENSSL_CCS_INJECTION,
    }
    scanner = Scanner()
    scanner.queue_scans([ServerScanRequest(server_location=location, scan_commands=commands)])
    [result] = scanner.get_results()
    if result.scan_status != ServerScanStatusEnum.COMPLETED:
        raise RuntimeError(f"sslyze could not connect: {result.connectivity_error_trace}")

    def of(command):
        attempt = getattr(result.scan_result, command.value)
        if attempt.status != ScanCommandAttemptStatusEnum.COMPLETED:
            raise RuntimeError(f"{command.value}: {attempt.error_reason} {attempt.error_trace}")
        return attempt.result

    def accepted(command):
        return {it.cipher_suite.name for it in of(command).accepted_cipher_suites}

    for command, version in OLD.items():
        with tally.guard(f"sslyze: {version} is refused"):
            assert not accepted(command), f"accepted: {accepted(command)}"
    for command, version in NEW.items():
        with tally.guard(f"sslyze: {version} has strong cipher suites and no others"):
            suites = accepted(command)
            assert suites and suites <= STRONG, f"accepted: {suites}"
    with tally.guard("sslyze: no early data, no compression, no renegotiation by clients"):
        assert not of(ScanCommand.TLS_1_3_EARLY_DATA).supports_early_data
        assert not of(ScanCommand.TLS_COMPRESSION).supports_compression
        renegotiation = of(ScanCommand.SESSION_RENEGOTIATION)
        assert not renegotiation.is_vulnerable_to_client_renegotiation_dos
    with tally.guard("sslyze: extended master secret, and none of the known holes"):
        assert of(ScanCommand.TLS_EXTENDED_MASTER_SECRET).supports_ems_extension
        assert not of(ScanCommand.HEARTBLEED).is_vulnerable_to_heartbleed
        assert not of(ScanCommand.OPENSSL_CCS_INJECTION).is_vulnerable_to_ccs_injection
        assert "NOT_VULNERABLE" in of(ScanCommand.ROBOT).robot_result.name
    # sslyze takes a ticket that is followed by a newer one for one that was ignored; openssl is told by the server.
    for version in ("1.2", "1.3"):
        with tally.guard(f"openssl: sessions of TLS {version} are resumed, {AGAIN} of {AGAIN}"):
            resumed = resume(port, f"-tls{version.replace('.', '_')}")
            assert resumed == AGAIN, f"{resumed} of {AGAIN} were"
    with tally.guard("what sslyze tried is counted by what it did, and is no bad request"):
        assert lubdub.metric("lubdub_tls_handshake_failures_total", reason="protocol_version") > 0
        assert lubdub.metric("lubdub_handshakes_total", outcome="bad_request") == 0


def resume(port, version):
    """How many connections, each with the session of the one before, go on with it."""
    session = WORK / "tls" / "session.pem"
    base = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", version]
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    def connect(*more):
        # Tickets of TLS 1.3 come behind the handshake: -ign_eof reads until the server has closed.
        done = subprocess.run([*base, "-ign_eof", *more], input=request, capture_output=True, timeout=30, check=False)
        return done.stdout.decode(errors="replace")

    connect("-sess_out", session)
    return sum("Reused, TLS" in connect("-sess_in", session, "-sess_out", session) for _ in range(AGAIN))
