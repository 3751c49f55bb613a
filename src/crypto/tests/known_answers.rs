//! Every format and every MAC against `tests/it/crypto/*.txt`.

use sha2::{Digest, Sha256};

use super::{Case, known_keyring, known_root, plain, ring_case, secret};
use crate::crypto::aad::RecordAad;
use crate::crypto::derive::{KeyBytes, RootKey};
use crate::crypto::{
    Argon2Cost, Field, Head, Keyring, KmsBinding, KmsRing, OfflineKey, RecordId, Sealed, Slot, SlotKind, SlotLimits,
    Table, TermInfo, TermState, UnlockSecret, parse_recovery_text, recovery_text,
};

fn record_id(case: &Case) -> RecordId<'_> {
    let tables = [Table::Objects, Table::Versions, Table::Outbox, Table::Tokens, Table::Audit, Table::State];
    RecordId {
        table: tables.into_iter().find(|table| table.name() == case.text("table")).unwrap(),
        kind: case.text("kind"),
        namespace: case.text("namespace"),
        name: case.text("name"),
        uid: case.array("uid"),
        revision: case.number("revision"),
        flags: case.number("flags"),
    }
}

#[test]
fn associated_data_matches_its_known_answers() {
    for case in Case::all(include_str!("../../../tests/it/crypto/aad-v1.txt")) {
        let has_data = case.number::<u8>("has_data") == 1;
        let mut aad = RecordAad::new(&case.array("store_id"), &record_id(&case), case.number("term"), has_data);
        assert_eq!(hex::encode(aad.column(Field::Meta)), case.value("meta_aad"));
        assert_eq!(hex::encode(aad.column(Field::Data)), case.value("data_aad"));
    }
}

#[test]
fn sealed_rows_match_their_known_answers() {
    let keyring = known_keyring();
    let mut sealed_here = 0;
    for case in Case::all(include_str!("../../../tests/it/crypto/envelope-v1.txt")) {
        let id = record_id(&case);
        let (meta, data) = (case.bytes("meta_plain"), case.bytes("data_plain"));
        let known = Sealed::from_stored(case.number("term"), case.bytes("meta"), case.bytes("data"));
        assert_eq!(plain(&keyring.open_meta(&id, &known).unwrap()), meta);
        assert_eq!(plain(&keyring.open_data(&id, &known).unwrap()), data);
        keyring.verify(&id, &known).unwrap();
        if known.term() == 2 {
            let nonces = [case.array("meta_nonce"), case.array("data_nonce")];
            assert_eq!(keyring.seal_with(&id, &meta, &data, &nonces).unwrap(), known);
            sealed_here += 1;
        }
    }
    assert_eq!(sealed_here, 6);
}

#[test]
fn accumulator_items_and_buckets_match_their_known_answers() {
    let keyring = known_keyring();
    for case in Case::all(include_str!("../../../tests/it/crypto/accumulator-v1.txt")) {
        let id = record_id(&case);
        let sealed = Sealed::from_stored(case.number("term"), case.bytes("meta"), case.bytes("data"));
        assert_eq!(hex::encode(keyring.accumulator_item(&id, &sealed)), case.value("item"));
        assert_eq!(keyring.bucket(id.kind, id.namespace, id.name), case.number::<u16>("bucket"));
    }
}

#[test]
fn what_vouches_for_a_backup_matches_its_known_answers() {
    let keyring = known_keyring();
    for case in Case::all(include_str!("../../../tests/it/crypto/backup-v1.txt")) {
        assert_eq!(hex::encode(keyring.backup_tag(&case.bytes("manifest"))), case.value("tag"));
    }
}

#[test]
fn what_is_kept_offline_matches_its_known_answers() {
    for case in Case::all(include_str!("../../../tests/it/crypto/offline-v1.txt")) {
        let key = OfflineKey::from_bytes(&secret(&case.bytes("key"))).unwrap();
        let parts: Vec<Vec<u8>> =
            (0..case.number("parts")).map(|part: u8| case.bytes(&format!("part_{part}"))).collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let (plain_bytes, sealed) = (case.bytes("plain"), case.bytes("sealed"));
        assert_eq!(key.seal_with(&parts, &plain_bytes, &case.array("nonce")).unwrap(), sealed);
        assert_eq!(plain(&key.open(&parts, &sealed).unwrap()), plain_bytes);
        assert_eq!(hex::encode(key.name(&parts)), case.value("name"));
    }
}

#[test]
fn what_a_kms_key_encrypts_matches_its_known_answers() {
    for case in Case::all(include_str!("../../../tests/it/crypto/kms-v1.txt")) {
        let ring = KmsRing::decode(&secret(&case.bytes("ring"))).unwrap();
        assert_eq!(plain(&ring.encode()), case.bytes("ring"));
        let (uid, term): (_, u32) = (case.array("uid"), case.number("term"));
        let binding = KmsBinding { store_id: case.array("store_id"), uid: &uid, key_id: case.text("key_id") };
        assert_eq!(ring.current().number, term);
        assert_eq!(hex::encode(ring.current().tag), case.value("tag"));
        assert!(case.text("key_id").ends_with(&format!(":{term}:{}", case.value("tag"))));
        let (plain_bytes, sealed) = (case.bytes("plain"), case.bytes("sealed"));
        assert_eq!(ring.seal_with(&binding, &plain_bytes, &case.array("nonce")).unwrap(), sealed);
        assert_eq!(plain(&ring.open(&binding, term, &sealed).unwrap()), plain_bytes);
    }
}

#[test]
fn the_wrapped_keyring_matches_its_known_answer() {
    let (case, keyring) = (ring_case(), known_keyring());
    assert_eq!(hex::encode(&*keyring.encode(&keyring.read_terms())), case.value("content"));
    assert_eq!(
        hex::encode(keyring.wrap_with(&known_root(), &keyring.read_terms(), &case.array("nonce")).unwrap()),
        case.value("wrapped")
    );
    assert_eq!(hex::encode(keyring.store_id()), case.value("store_id"));
    let terms: Vec<TermInfo> = keyring.terms();
    let active = TermInfo {
        id: case.number("active_term"),
        state: TermState::Active,
        created_unix_seconds: case.number("created"),
    };
    assert_eq!(terms.len(), 2);
    assert_eq!(terms[0], active);
    assert_eq!((terms[1].id, terms[1].state), (1, TermState::DecryptOnly));
}

#[test]
fn slots_match_their_known_answers() {
    for case in Case::all(include_str!("../../../tests/it/crypto/slot-v1.txt")) {
        let kinds = [SlotKind::Passphrase, SlotKind::KeyFile, SlotKind::SystemdCredential, SlotKind::Recovery];
        let kind = kinds[case.number::<usize>("kind") - 1];
        let (store_id, limits) = (case.array("store_id"), SlotLimits::default());
        let (unlock, cost) = if case.number::<u8>("secret_is_key") == 1 {
            (UnlockSecret::key(&secret(&case.bytes("secret"))).unwrap(), Argon2Cost::DEFAULT)
        } else {
            let cost = Argon2Cost::new(case.number("memory_kib"), case.number("passes"), case.number("lanes"), &limits);
            (UnlockSecret::passphrase(secret(&case.bytes("secret"))).unwrap(), cost.unwrap())
        };
        let root = RootKey::from_key(KeyBytes::copied_from(&case.bytes("root_key")).unwrap());
        let drawn = (case.bytes("salt"), case.array("nonce"));
        let made =
            Slot::make_with(kind, case.number("id"), &unlock, cost, store_id, &root, (&drawn.0, drawn.1)).unwrap();
        assert_eq!(hex::encode(made.aad(&store_id)), case.value("aad"));
        assert_eq!(hex::encode(made.encode()), case.value("slot"));
        let read = Slot::decode(&case.bytes("slot")).unwrap();
        assert_eq!((read.id(), read.kind()), (case.number("id"), kind));
        assert_eq!(read.open(&unlock, store_id, &limits).unwrap().key().bytes(), root.key().bytes());
    }
}

#[test]
fn the_sealed_head_matches_its_known_answer() {
    let case = Case::all(include_str!("../../../tests/it/crypto/head-v1.txt")).remove(0);
    let mut head = Head::empty(case.array("schema_hash"), case.array("audit_chain_head"));
    head.sequence = case.number("sequence");
    head.revision = case.number("revision");
    head.policy_generation = case.number("policy_generation");
    head.restore_epoch = case.number("restore_epoch");
    head.time_high_water_unix_seconds = case.number("time");
    for count in 0..3 {
        let kind = case.text(&format!("count_kind_{count}")).to_owned();
        head.counts.insert(kind, case.number(&format!("count_{count}")));
    }
    for toggle in 0..4 {
        head.toggle(case.number(&format!("toggle_bucket_{toggle}")), &case.array(&format!("toggle_item_{toggle}")));
    }
    let encoded = head.encode();
    assert_eq!(encoded.len(), case.number::<usize>("encoded_length"));
    assert_eq!(hex::encode(Sha256::digest(&encoded)), case.value("encoded_sha256"));

    let keyring = known_keyring();
    let sealed = keyring.seal_head_with(&encoded, &case.array("nonce")).unwrap();
    assert!(sealed.ends_with(&case.bytes("sealed_tag")));
    assert_eq!(hex::encode(Sha256::digest(&sealed)), case.value("sealed_sha256"));
    assert_eq!(keyring.open_head(&sealed).unwrap(), encoded);
}

#[test]
fn audit_links_match_their_known_answers() {
    let keyring = known_keyring();
    for case in Case::all(include_str!("../../../tests/it/crypto/audit-v1.txt")) {
        let mut link = keyring.audit_start(case.text("chain"));
        assert_eq!(hex::encode(link), case.value("start"));
        for event in 0..3 {
            link = keyring.audit_link(&link, &case.bytes(&format!("event_{event}")));
            assert_eq!(hex::encode(link), case.value(&format!("link_{event}")));
        }
    }
}

#[test]
fn signatures_of_the_audit_log_match_their_known_answers() {
    let signer = known_keyring().derive_audit_signer();
    let case = Case::all(include_str!("../../../tests/it/crypto/signing-v1.txt")).remove(0);
    assert_eq!(format!("{:?}", signer.public_key()), format!("AuditPublicKey({})", case.value("public_key")));
    assert_eq!(signer.public_key().to_pem().lines().nth(1).unwrap(), case.text("pem_body"));
    for at in 0..2 {
        let message = case.bytes(&format!("message_{at}"));
        assert_eq!(hex::encode(signer.sign(&message)), case.value(&format!("signature_{at}")));
        assert!(signer.public_key().verifies(&message, &case.bytes(&format!("signature_{at}"))));
    }
}

#[test]
fn the_other_purposes_match_their_known_answers() {
    let keyring: Keyring = known_keyring();
    let case = Case::all(include_str!("../../../tests/it/crypto/purposes-v1.txt")).remove(0);
    let cursor = keyring.seal_cursor_with(&case.bytes("cursor_plain"), &case.array("cursor_nonce")).unwrap();
    assert_eq!(hex::encode(&cursor), case.value("cursor"));
    assert_eq!(*keyring.open_cursor(&cursor).unwrap(), case.bytes("cursor_plain"));
    let hash = keyring.lookup_hash(case.text("lookup_purpose"), case.text("lookup_token").as_bytes());
    assert_eq!(hex::encode(hash), case.value("lookup_hash"));
    let mark = keyring.sync_mac(&[case.text("sync_part_0").as_bytes(), case.text("sync_part_1").as_bytes()]);
    assert_eq!(hex::encode(mark), case.value("sync_mac"));
    assert_eq!(hex::encode(plain(&keyring.sealed_fingerprint_key())), case.value("sealed_fingerprint_key"));
    let written = recovery_text(&secret(&case.bytes("recovery_key"))).unwrap();
    assert_eq!(plain(&written), case.text("recovery").as_bytes());
    assert_eq!(plain(&parse_recovery_text(&written).unwrap()), case.bytes("recovery_key"));
}
