"""An authority that vouches for clients and takes it back: `openssl ca`, as many a company runs it."""

import subprocess

from harness import LOGS

CONFIG = """
[ca]
default_ca = here
[here]
dir = {dir}
database = $dir/index.txt
new_certs_dir = $dir
serial = $dir/serial
crlnumber = $dir/crlnumber
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
default_crl_days = 2
policy = policy
x509_extensions = client
crl_extensions = list
[policy]
organizationName = supplied
commonName = supplied
[client]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
[list]
authorityKeyIdentifier = keyid
[req]
distinguished_name = nothing
[nothing]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Authority:
    """Kept in a directory of this name; it calls itself `called`."""

    def __init__(self, name, called="Authority"):
        self.dir = LOGS / name
        self.dir.mkdir(parents=True, exist_ok=True)
        for old in self.dir.iterdir():
            old.unlink()
        (self.dir / "index.txt").touch()
        for number in ("serial", "crlnumber"):
            (self.dir / number).write_text("01\n")
        (self.dir / "ca.cnf").write_text(CONFIG.format(dir=self.dir))
        self.ca, self.crl = self.dir / "ca.pem", self.dir / "crl.pem"
        subject = ["-subj", f"/O=Interop/CN={called}", "-extensions", "authority"]
        self._openssl("req", "-x509", *KEY, *subject, "-days", "2", "-keyout", "ca.key", "-out", "ca.pem")

    def vouch(self, name, *when):
        """A certificate for a client, and its key: as files, `(cert, key)`. `when` are options of `openssl ca`."""
        self._openssl("req", *KEY, "-subj", f"/O=Interop/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self._openssl("ca", "-batch", "-notext", *(when or ("-days", "2")), "-in", f"{name}.csr", "-out", f"{name}.pem")
        return self.dir / f"{name}.pem", self.dir / f"{name}.key"

    def revoke(self, cert):
        self._openssl("ca", "-revoke", str(cert))

    def publish(self):
        """Writes the list of what was revoked."""
        self._openssl("ca", "-gencrl", "-out", "crl.pem")

    def _openssl(self, command, *arguments):
        whole = ["openssl", command, "-config", "ca.cnf", *arguments]
        subprocess.run(whole, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, cwd=self.dir)
