//! Certificates of workloads: what a Certificate asks for, signed by the room's authority or by one in a Secret.
//!
//! What it never does: outlive the issuer, sign with a key that does not belong to the issuer's certificate, or reach
//! beyond the issuer's path length.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData, SanType,
};
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::authority::{BACKDATED_SECONDS, add_names, common_name, make_serial, params};
use super::keys::{KeyKind, make_key};
use super::{Authority, CertificateFacts, PkiError, encode_certificate, encode_private_key, pair_warning, read_blocks};
use crate::sensitive::SecretBytes;

/// What is left of an issuer's life must be more than this.
const SHORTEST_SECONDS: i64 = 60;

/// What a key may be used for: a bit of `keyUsage`, or an entry of `extendedKeyUsage` (RFC 5280, 4.2.1.3 and 4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 5280")]
pub enum Purpose {
    DigitalSignature,
    ContentCommitment,
    KeyEncipherment,
    DataEncipherment,
    KeyAgreement,
    KeyCertSign,
    CrlSign,
    Any,
    ServerAuth,
    ClientAuth,
    CodeSigning,
    EmailProtection,
    TimeStamping,
    OcspSigning,
}

/// What is to be certified.
pub struct Workload<'a> {
    /// Common name, or empty.
    pub common_name: &'a str,
    /// DNS names.
    pub dns_names: &'a [String],
    /// Addresses.
    pub addresses: &'a [IpAddr],
    /// URIs.
    pub uris: &'a [String],
    /// What the key may be used for.
    pub purposes: &'a [Purpose],
    /// Whether it may sign others.
    pub is_authority: bool,
    /// What key it is to have.
    pub key: KeyKind,
    /// For how long, from now.
    pub valid_seconds: i64,
}

/// Who signs, and what leads from there to a root.
pub struct Issuer {
    authority: Authority,
    /// PEM, between the leaf and the root.
    intermediates: String,
    /// PEM, whom clients trust.
    trust: String,
}

/// A certificate with its key.
pub struct Issued {
    /// The certificate, and what leads to the root, PEM.
    pub chain: String,
    /// The private key, PKCS #8, PEM.
    pub key: SecretBytes,
    /// Whom clients trust, PEM.
    pub trust: String,
    /// From when it is valid, in seconds since the epoch.
    pub not_before: i64,
    /// Until when.
    pub not_after: i64,
}

/// Why nothing was issued. Holds no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// Certificate or key of the issuer are missing or unreadable.
    #[error("tls.crt and tls.key of the issuer hold no certificate with its key")]
    Pair,
    /// The certificate is no authority's.
    #[error("the issuer's certificate does not say that it is an authority's")]
    NoAuthority,
    /// An authority is asked for, and the issuer's path ends with it.
    #[error("the issuer may sign no other authority: its path length is 0")]
    PathLength,
    /// The issuer ends, or begins later.
    #[error("the issuer's certificate is not valid now, or ends within a minute")]
    Expired,
    /// No key or signature could be made, or a name cannot stand in a certificate.
    #[error("{0}")]
    Make(#[from] PkiError),
}

impl IssueError {
    /// One word for it.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Pair => "IssuerUnreadable",
            Self::NoAuthority => "IssuerNoAuthority",
            Self::PathLength => "IssuerPathLength",
            Self::Expired => "IssuerExpired",
            Self::Make(_) => "IssuingFailed",
        }
    }
}

impl Issuer {
    /// The room's own authority, which is its own root.
    #[must_use]
    pub fn own(authority: Authority) -> Self {
        let trust = encode_certificate(&authority.certificate);
        Self { authority, intermediates: String::new(), trust }
    }

    /// An authority out of a Secret: its chain, its key, and whom to trust where the chain does not end in a root. All PEM.
    ///
    /// # Errors
    /// They are no pair, or no authority's.
    #[expect(clippy::disallowed_methods, reason = "the issuer's key is taken to sign with")]
    pub fn read(chain: &[u8], key: &[u8], trust: &[u8]) -> Result<Self, IssueError> {
        if pair_warning(chain, key).is_some() {
            return Err(IssueError::Pair);
        }
        let blocks = |text: &[u8]| -> Vec<Vec<u8>> {
            let certificates = read_blocks(text).into_iter().filter(|block| block.label == "CERTIFICATE");
            certificates.map(|block| block.bytes.expose().to_vec()).collect()
        };
        let chain = blocks(chain);
        let certificate = chain.first().cloned().ok_or(IssueError::Pair)?;
        let mut keys = read_blocks(key).into_iter();
        let key = keys.find(|block| block.label.ends_with("PRIVATE KEY")).ok_or(IssueError::Pair)?.bytes;
        // It may be of a kind that cannot be loaded here.
        drop(Zeroizing::new(KeyPair::try_from(key.expose()).map_err(|_| IssueError::Pair)?));
        let facts = |certificate: &[u8]| CertificateFacts::read(certificate).map(|facts| facts.is_self_issued());
        let is_authority = CertificateFacts::read(&certificate).map_err(|_| IssueError::Pair)?.is_authority;
        if !is_authority {
            return Err(IssueError::NoAuthority);
        }
        let is_root = |certificate: &Vec<u8>| facts(certificate).unwrap_or_default();
        let intermediates: String =
            chain.iter().filter(|one| !is_root(one)).map(|one| encode_certificate(one)).collect();
        let trusted: Vec<Vec<u8>> = match chain.iter().find(|one| is_root(one)) {
            Some(root) => vec![root.clone()],
            None => blocks(trust),
        };
        let trust = if trusted.is_empty() {
            chain.last().map(|last| encode_certificate(last)).unwrap_or_default()
        } else {
            trusted.iter().map(|one| encode_certificate(one)).collect()
        };
        Ok(Self { authority: Authority { certificate, key }, intermediates, trust })
    }

    /// Until when it is valid, in seconds since the epoch.
    #[must_use]
    pub fn not_after(&self) -> Option<i64> {
        CertificateFacts::read(&self.authority.certificate).ok().map(|facts| facts.not_after)
    }
}

/// Issues a certificate. `former` is a key (PEM) that is used again where it is of the kind that is asked for.
///
/// # Errors
/// See [`IssueError`].
#[expect(clippy::disallowed_methods, reason = "the issuer's key signs, and the subject's is certified")]
pub fn issue(
    issuer: &Issuer,
    wanted: &Workload<'_>,
    former: Option<&[u8]>,
    now_unix_seconds: i64,
) -> Result<Issued, IssueError> {
    let authority = &issuer.authority;
    let facts = CertificateFacts::read(&authority.certificate).map_err(|_| IssueError::Pair)?;
    let left_seconds = facts.not_after.saturating_sub(now_unix_seconds);
    if left_seconds < SHORTEST_SECONDS || facts.not_before > now_unix_seconds {
        return Err(IssueError::Expired);
    }
    if wanted.is_authority && facts.path_length == Some(0) {
        return Err(IssueError::PathLength);
    }
    let mut certified = params(&make_serial()?, now_unix_seconds, wanted.valid_seconds.min(left_seconds))?;
    certified.distinguished_name =
        if wanted.common_name.is_empty() { DistinguishedName::new() } else { common_name(wanted.common_name) };
    certified.use_authority_key_identifier_extension = true;
    certified.is_ca = if wanted.is_authority {
        IsCa::Ca(BasicConstraints::Constrained(facts.path_length.map_or(0, |length| length.saturating_sub(1))))
    } else {
        IsCa::ExplicitNoCa
    };
    name(&mut certified, wanted)?;
    for purpose in wanted.purposes {
        allow(&mut certified, *purpose);
    }
    let key = match former.and_then(|former| read_key(former, wanted.key)) {
        Some(former) => former,
        None => make_key(wanted.key)?,
    };
    let issuer_key = Zeroizing::new(KeyPair::try_from(authority.key.expose()).map_err(|_| PkiError::AuthorityKey)?);
    let signer = rcgen::Issuer::from_ca_cert_der(&CertificateDer::from(authority.certificate.as_slice()), &*issuer_key)
        .map_err(|_| PkiError::Certificate)?;
    let certificate = certified.signed_by(&*key, &signer).map_err(|_| PkiError::Make)?;
    Ok(Issued {
        chain: format!("{}{}", encode_certificate(certificate.der()), issuer.intermediates),
        key: encode_private_key(&SecretBytes::new(key.serialize_der())),
        trust: issuer.trust.clone(),
        not_before: now_unix_seconds.saturating_sub(BACKDATED_SECONDS).max(0),
        not_after: now_unix_seconds.saturating_add(wanted.valid_seconds.min(left_seconds)),
    })
}

/// From when and until when the first certificate of `chain` (PEM) is valid, in seconds since the epoch.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a certificate is public")]
pub fn certificate_end(chain: &[u8]) -> Option<(i64, i64)> {
    let blocks = read_blocks(chain);
    let first = blocks.iter().find(|block| block.label == "CERTIFICATE")?;
    let facts = CertificateFacts::read(first.bytes.expose()).ok()?;
    Some((facts.not_before, facts.not_after))
}

fn name(certified: &mut CertificateParams, wanted: &Workload<'_>) -> Result<(), PkiError> {
    add_names(certified, wanted.dns_names, wanted.addresses)?;
    for uri in wanted.uris {
        certified.subject_alt_names.push(SanType::URI(uri.as_str().try_into().map_err(|_| PkiError::Name)?));
    }
    Ok(())
}

fn allow(certified: &mut CertificateParams, purpose: Purpose) {
    let extended = match purpose {
        Purpose::Any => ExtendedKeyUsagePurpose::Any,
        Purpose::ServerAuth => ExtendedKeyUsagePurpose::ServerAuth,
        Purpose::ClientAuth => ExtendedKeyUsagePurpose::ClientAuth,
        Purpose::CodeSigning => ExtendedKeyUsagePurpose::CodeSigning,
        Purpose::EmailProtection => ExtendedKeyUsagePurpose::EmailProtection,
        Purpose::TimeStamping => ExtendedKeyUsagePurpose::TimeStamping,
        Purpose::OcspSigning => ExtendedKeyUsagePurpose::OcspSigning,
        bit => {
            certified.key_usages.push(match bit {
                Purpose::ContentCommitment => KeyUsagePurpose::ContentCommitment,
                Purpose::KeyEncipherment => KeyUsagePurpose::KeyEncipherment,
                Purpose::DataEncipherment => KeyUsagePurpose::DataEncipherment,
                Purpose::KeyAgreement => KeyUsagePurpose::KeyAgreement,
                Purpose::KeyCertSign => KeyUsagePurpose::KeyCertSign,
                Purpose::CrlSign => KeyUsagePurpose::CrlSign,
                _ => KeyUsagePurpose::DigitalSignature,
            });
            return;
        }
    };
    certified.extended_key_usages.push(extended);
}

/// A key out of a Secret; `None` if it is none of this kind.
#[expect(clippy::disallowed_methods, reason = "the key is certified again")]
fn read_key(pem: &[u8], kind: KeyKind) -> Option<Zeroizing<KeyPair>> {
    let block = read_blocks(pem).into_iter().find(|block| block.label == "PRIVATE KEY")?;
    let key = Zeroizing::new(KeyPair::try_from(block.bytes.expose()).ok()?);
    let algorithm = PublicKeyData::algorithm(&*key);
    // The public key holds the modulus and little else.
    let is_rsa = |bits: usize| {
        algorithm == &rcgen::PKCS_RSA_SHA256 && (bits / 8..bits / 8 + 32).contains(&key.der_bytes().len())
    };
    let fits = match kind {
        KeyKind::Rsa2048 => is_rsa(2048),
        KeyKind::Rsa3072 => is_rsa(3072),
        KeyKind::Rsa4096 => is_rsa(4096),
        KeyKind::P256 => algorithm == &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyKind::P384 => algorithm == &rcgen::PKCS_ECDSA_P384_SHA384,
        KeyKind::P521 => algorithm == &rcgen::PKCS_ECDSA_P521_SHA512,
        KeyKind::Ed25519 => algorithm == &rcgen::PKCS_ED25519,
    };
    fits.then_some(key)
}

#[cfg(test)]
#[path = "workload_tests.rs"]
mod tests;
