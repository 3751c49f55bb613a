//! Who is at the other end of a connection: by client certificate, or by what the kernel says of a Unix socket.
//!
//! It is found out once, when the connection is made, and put among its data, where the API reads it for each request:
//! [`PeerCertificate`], [`PeerUid`], [`PeerOwner`].
//!
//! What it never does: judge a request. Whether a certificate is still within its dates, not revoked, and its user
//! still there, is asked for each request, because a connection outlives the answer.

use std::fs;
use std::sync::Arc;

use actix_web::dev::Extensions;
use rustls_pki_types::CertificateDer;

use crate::model::user::{PeerOwner, PeerUid};
use crate::pki::client::{ClientIdentity, PeerCertificate};

const ROOT: u32 = 0;
/// What Linux shows in place of a user that a namespace has no number for.
const USUAL_OVERFLOW_UID: u32 = 65_534;

/// What is needed to tell.
#[derive(Clone)]
pub struct Peers {
    own_authority: Option<Arc<[u8]>>,
    owner: Option<u32>,
}

impl Peers {
    /// `own_authority` is the certificate (DER) of the home's client authority, where client certificates are used.
    #[must_use]
    pub fn new(own_authority: Option<Arc<[u8]>>) -> Self {
        let overflow = fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
        let overflow = overflow.and_then(|text| text.trim().parse().ok()).unwrap_or(USUAL_OVERFLOW_UID);
        Self { own_authority, owner: owner(rustix::process::geteuid().as_raw(), overflow) }
    }

    /// Notes who the verified chain of a TLS session is of, its own certificate first. An empty one is nobody's.
    pub fn identify_certificate(&self, chain: &[CertificateDer<'_>], data: &mut Extensions) {
        let Some(certificate) = chain.first() else { return };
        match ClientIdentity::read(certificate, self.own_authority.as_deref()) {
            Ok(identity) => drop(data.insert(PeerCertificate(Arc::new(identity)))),
            Err(fault) => tracing::info!(%fault, "a client certificate stands for nobody; its connection is anonymous"),
        }
    }

    /// Notes who connected by the Unix socket.
    pub fn identify_process(&self, uid: u32, data: &mut Extensions) {
        data.insert(PeerUid(uid));
        if uid == ROOT || self.owner == Some(uid) {
            data.insert(PeerOwner);
        }
    }
}

/// Who may be taken for the owner. Nobody, where the server runs as the user that also stands for all unknown ones.
fn owner(uid: u32, overflow: u32) -> Option<u32> {
    (uid != overflow).then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::client::testing::signed;
    use crate::pki::make_client_authority;

    const NOW: i64 = 1_790_000_000;

    fn is_owner(owner: Option<u32>, uid: u32) -> bool {
        let mut data = Extensions::new();
        Peers { own_authority: None, owner }.identify_process(uid, &mut data);
        assert_eq!(data.get::<PeerUid>(), Some(&PeerUid(uid)));
        data.contains::<PeerOwner>()
    }

    #[test]
    fn root_and_the_user_the_server_runs_as_are_the_owner_and_nobody_else() {
        assert!(is_owner(Some(1000), 1000) && is_owner(Some(1000), 0) && is_owner(Some(0), 0));
        assert!(!is_owner(Some(1000), 1001) && !is_owner(Some(0), 1000));
    }

    #[test]
    fn the_user_that_stands_for_unknown_ones_is_never_the_owner() {
        assert_eq!((owner(1000, 65_534), owner(65_534, 65_534)), (Some(1000), None));
        assert!(!is_owner(owner(65_534, 65_534), 65_534) && is_owner(owner(65_534, 65_534), 0));
    }

    #[test]
    fn a_verified_certificate_is_an_identity_and_one_that_names_nobody_is_none() {
        let ours = make_client_authority(NOW).unwrap();
        let peers = Peers::new(Some(ours.certificate.as_slice().into()));
        let identify = |chain: &[Vec<u8>]| {
            let mut data = Extensions::new();
            let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
            peers.identify_certificate(&chain, &mut data);
            data.remove::<PeerCertificate>().map(|peer| (peer.0.common_name.clone(), peer.0.uid.clone()))
        };
        let own = signed(&ours, "ada", &["dev"], NOW);
        assert_eq!(identify(&[own, ours.certificate.clone()]), Some(("ada".to_owned(), Some("uid-of-ada".to_owned()))));
        let outside = signed(&make_client_authority(NOW).unwrap(), "bob", &[], NOW);
        assert_eq!(identify(&[outside]), Some(("bob".to_owned(), None)));
        assert_eq!(identify(&[b"junk".to_vec()]), None);
        assert_eq!(identify(&[]), None);
    }
}
