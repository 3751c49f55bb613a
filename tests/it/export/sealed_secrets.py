"""What a sealed-secrets controller has and does.

make FOLDER NOW    keys and certificates
unseal KEY         SealedSecrets from standard input, one JSON list of what they become on standard output
"""

import base64
import datetime
import json
import pathlib
import struct
import sys

import kubesealpy
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

DAY = 86_400


def make(folder, now):
    folder = pathlib.Path(folder)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sealed-secret")])
    for file, first, last in [
        ("expired", -100, -1),
        ("older", -50, 50),
        ("current", -10, 90),
        ("future", 10, 100),
        ("ec", -1, 100),
    ]:
        key = ec.generate_private_key(ec.SECP256R1()) if file == "ec" else rsa.generate_private_key(65537, 2048)
        time = lambda days: datetime.datetime.fromtimestamp(int(now) + days * DAY, datetime.timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(time(first))
            .not_valid_after(time(last))
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        (folder / f"{file}.crt").write_bytes(certificate.public_bytes(pem))
        (folder / f"{file}.key").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )


def label(metadata):
    annotations = metadata.get("annotations") or {}
    if annotations.get("sealedsecrets.bitnami.com/cluster-wide") == "true":
        return b""
    if annotations.get("sealedsecrets.bitnami.com/namespace-wide") == "true":
        return metadata["namespace"].encode()
    return f"{metadata['namespace']}/{metadata['name']}".encode()


def open_value(key, sealed, context):
    (length,) = struct.unpack(">H", sealed[:2])
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=context)
    session_key = key.decrypt(sealed[2 : 2 + length], oaep)
    return AESGCM(session_key).decrypt(bytes(12), sealed[2 + length :], None)


def unseal(key_file):
    key = serialization.load_pem_private_key(pathlib.Path(key_file).read_bytes(), None)
    out = []
    for document in yaml.safe_load_all(sys.stdin.buffer.read()):
        assert document["apiVersion"] == "bitnami.com/v1alpha1" and document["kind"] == "SealedSecret"
        sealed = document["spec"]["encryptedData"]
        template = document["spec"]["template"]
        context = label(document["metadata"])
        try:
            data = {
                name: base64.b64encode(open_value(key, base64.b64decode(value, validate=True), context)).decode()
                for name, value in sealed.items()
            }
        except ValueError:
            data = None
        again = None
        if data is not None:
            secret = kubesealpy.Unsealer.from_private_key(key).unseal(
                kubesealpy.SealedSecret.from_yaml(yaml.safe_dump(document))
            )
            again = {name: base64.b64encode(value).decode() for name, value in secret.get_data_decoded().items()}
        out.append({"data": data, "kubesealpy": again, "template": template})
    json.dump(out, sys.stdout)


{"make": make, "unseal": unseal}[sys.argv[1]](*sys.argv[2:])
