//! What tampering with rows, heads and cursors leads to.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::{known_keyring, plain, secret};
use crate::crypto::{
    Field, Keyring, OpenError, OpenFailure, RecordId, ResealError, SealError, Sealed, Table, TermError,
};

const META: &[u8] = b"{\"labels\":{\"app\":\"db\"}}";
const DATA: &[u8] = b"{\"password\":\"hunter2\"}";
/// Version, algorithm, term, nonce, tag.
const OVERHEAD: usize = 1 + 1 + 4 + 24 + 16;

fn id() -> RecordId<'static> {
    RecordId {
        table: Table::Objects,
        kind: "Secret",
        namespace: "prod",
        name: "db",
        uid: [7; 16],
        revision: 42,
        flags: 1,
    }
}

fn sealed(keyring: &Keyring) -> Sealed {
    keyring.seal(&id(), &secret(META), &secret(DATA)).unwrap()
}

fn failure<T>(result: Result<T, OpenError>) -> OpenFailure {
    result.err().expect("it opened").failure()
}

fn error_text<T>(result: Result<T, OpenError>) -> String {
    result.err().expect("it opened").to_string()
}

fn rebuilt(sealed: &Sealed, change: impl FnOnce(&mut u32, &mut Vec<u8>, &mut Vec<u8>)) -> Sealed {
    let (mut term, mut meta, mut data) = (sealed.term(), sealed.meta().to_vec(), sealed.data().to_vec());
    change(&mut term, &mut meta, &mut data);
    Sealed::from_stored(term, meta, data)
}

#[test]
fn what_was_sealed_opens_and_looks_different_every_time() {
    let keyring = known_keyring();
    let (one, two) = (sealed(&keyring), sealed(&keyring));
    assert_eq!(one.meta().len(), META.len() + OVERHEAD);
    assert_eq!(one.data().len(), DATA.len() + OVERHEAD);
    assert_eq!(plain(&keyring.open_meta(&id(), &one).unwrap()), META);
    assert_eq!(plain(&keyring.open_data(&id(), &two).unwrap()), DATA);
    assert_ne!(one.meta()[6..30], two.meta()[6..30]);
    assert_ne!(one.meta()[6..30], one.data()[6..30]);
    assert!(!one.data().windows(7).any(|window| window == b"hunter2"));
}

#[test]
fn a_flip_of_any_bit_of_either_column_is_refused() {
    let keyring = known_keyring();
    let good = sealed(&keyring);
    for field in [Field::Meta, Field::Data] {
        let length = if field == Field::Meta { good.meta().len() } else { good.data().len() };
        for bit in 0..length * 8 {
            let bad = rebuilt(&good, |_, meta, data| {
                let column = if field == Field::Meta { meta } else { data };
                column[bit / 8] ^= 1 << (bit % 8);
            });
            let found = failure(keyring.open_into(&id(), field, &bad, &mut Zeroizing::default()));
            match bit / 8 {
                0 => assert!(matches!(found, OpenFailure::UnknownVersion(_))),
                1 => assert!(matches!(found, OpenFailure::UnknownAlgorithm(_))),
                2..6 => assert!(matches!(found, OpenFailure::TermMismatch { row: 2, .. })),
                _ => assert_eq!(found, OpenFailure::NotAuthentic),
            }
            assert_eq!(failure(keyring.verify(&id(), &bad)), found);
        }
    }
}

#[test]
fn every_truncation_of_either_column_is_refused() {
    let keyring = known_keyring();
    let good = sealed(&keyring);
    for length in 0..good.meta().len() {
        let bad = rebuilt(&good, |_, meta, _| meta.truncate(length));
        let found = failure(keyring.open_meta(&id(), &bad));
        assert_eq!(
            found,
            if length < OVERHEAD { OpenFailure::Truncated } else { OpenFailure::NotAuthentic },
            "{length}"
        );
        assert!(keyring.verify(&id(), &bad).is_err());
    }
    for length in 0..good.data().len() {
        let bad = rebuilt(&good, |_, _, data| data.truncate(length));
        assert!(keyring.open_data(&id(), &bad).is_err(), "{length}");
        assert!(keyring.verify(&id(), &bad).is_err(), "{length}");
    }
    let longer = rebuilt(&good, |_, meta, data| {
        meta.push(0);
        data.push(0);
    });
    assert_eq!(failure(keyring.open_meta(&id(), &longer)), OpenFailure::NotAuthentic);
    assert_eq!(failure(keyring.open_data(&id(), &longer)), OpenFailure::NotAuthentic);
}

#[test]
fn exchanged_columns_are_refused() {
    let keyring = known_keyring();
    let bad = rebuilt(&sealed(&keyring), |_, meta, data| std::mem::swap(meta, data));
    assert_eq!(failure(keyring.open_meta(&id(), &bad)), OpenFailure::NotAuthentic);
    assert_eq!(failure(keyring.open_data(&id(), &bad)), OpenFailure::NotAuthentic);
    assert_eq!(failure(keyring.verify(&id(), &bad)), OpenFailure::NotAuthentic);
}

#[test]
fn a_row_opens_under_no_other_identity() {
    let keyring = known_keyring();
    let good = sealed(&keyring);
    let others = [
        RecordId { table: Table::Versions, ..id() },
        RecordId { table: Table::State, ..id() },
        RecordId { kind: "ConfigMap", ..id() },
        RecordId { namespace: "pro", name: "ddb", ..id() },
        RecordId { namespace: "", ..id() },
        RecordId { name: "db2", ..id() },
        RecordId { kind: "Secretprod", namespace: "", ..id() },
        RecordId { uid: [8; 16], ..id() },
        RecordId { revision: 41, ..id() },
        RecordId { flags: 2, ..id() },
        RecordId { flags: 0, ..id() },
    ];
    for other in &others {
        assert_eq!(failure(keyring.open_meta(other, &good)), OpenFailure::NotAuthentic, "{other:?}");
        assert_eq!(failure(keyring.open_data(other, &good)), OpenFailure::NotAuthentic, "{other:?}");
        assert_eq!(failure(keyring.verify(other, &good)), OpenFailure::NotAuthentic, "{other:?}");
        assert_ne!(keyring.accumulator_item(other, &good), keyring.accumulator_item(&id(), &good), "{other:?}");
    }
    // Another store, even one that got hold of the same keys.
    let mut content = keyring.encode(&keyring.read_terms()).to_vec();
    let mut store_id = keyring.store_id();
    store_id[0] ^= 1;
    content[7] ^= 1;
    let elsewhere = Keyring::decode(store_id, &content).unwrap();
    assert_eq!(failure(elsewhere.verify(&id(), &good)), OpenFailure::NotAuthentic);
}

#[test]
fn data_can_be_neither_blanked_nor_added() {
    let keyring = known_keyring();
    let blanked = rebuilt(&sealed(&keyring), |_, _, data| data.clear());
    assert_eq!(failure(keyring.open_meta(&id(), &blanked)), OpenFailure::NotAuthentic);
    assert_eq!(failure(keyring.open_data(&id(), &blanked)), OpenFailure::NotAuthentic);
    assert_eq!(failure(keyring.verify(&id(), &blanked)), OpenFailure::NotAuthentic);

    let without = keyring.seal(&id(), &secret(META), &secret(b"")).unwrap();
    assert!(without.data().is_empty());
    assert!(keyring.open_data(&id(), &without).unwrap().is_empty());
    keyring.verify(&id(), &without).unwrap();
    let added = rebuilt(&without, |_, _, data| *data = sealed(&keyring).data().to_vec());
    assert_eq!(failure(keyring.open_meta(&id(), &added)), OpenFailure::NotAuthentic);
    assert_eq!(failure(keyring.verify(&id(), &added)), OpenFailure::NotAuthentic);
}

#[test]
fn an_unknown_term_is_an_error_and_no_other_key_is_tried() {
    let keyring = known_keyring();
    let relabelled = |term: u32| {
        rebuilt(&sealed(&keyring), |row, meta, data| {
            *row = term;
            meta[2..6].copy_from_slice(&term.to_be_bytes());
            data[2..6].copy_from_slice(&term.to_be_bytes());
        })
    };
    for term in [0, 3, u32::MAX] {
        assert_eq!(failure(keyring.open_meta(&id(), &relabelled(term))), OpenFailure::UnknownTerm(term));
        assert_eq!(failure(keyring.open_data(&id(), &relabelled(term))), OpenFailure::UnknownTerm(term));
    }
    assert_eq!(failure(keyring.verify(&id(), &relabelled(1))), OpenFailure::NotAuthentic);
    let column_only = rebuilt(&sealed(&keyring), |row, _, _| *row = 1);
    assert_eq!(failure(keyring.open_meta(&id(), &column_only)), OpenFailure::TermMismatch { row: 1, envelope: 2 });
}

#[test]
fn rows_of_an_older_term_open_until_the_term_is_destroyed_and_forgotten() {
    let keyring = known_keyring();
    let older = sealed(&keyring);
    let next = keyring.next_term(1_800_000_000).unwrap();
    assert_eq!(sealed(&keyring).term(), 2, "a term that is not adopted seals nothing");
    keyring.adopt(next);
    let newer = sealed(&keyring);
    assert_eq!((older.term(), newer.term()), (2, 3));
    keyring.verify(&id(), &older).unwrap();
    keyring.verify(&id(), &newer).unwrap();

    assert_eq!(keyring.without_term(3).err(), Some(TermError::Active(3)));
    assert_eq!(keyring.without_term(9).err(), Some(TermError::Unknown(9)));
    keyring.adopt(keyring.without_term(2).unwrap());
    assert_eq!(keyring.terms().iter().map(|term| term.id).collect::<Vec<_>>(), [3, 1]);
    // Whoever read it before it was sealed anew still opens it; what is stored has no such term.
    keyring.verify(&id(), &older).unwrap();
    assert_eq!(keyring.without_term(2).err(), Some(TermError::Unknown(2)));
    keyring.forget_retired();
    assert_eq!(failure(keyring.verify(&id(), &older)), OpenFailure::UnknownTerm(2));
}

#[test]
fn a_row_that_is_sealed_anew_is_the_same_row() {
    let keyring = known_keyring();
    for data in [&b"data"[..], b""] {
        let before = keyring.seal(&id(), &secret(b"meta"), &secret(data)).unwrap();
        keyring.adopt(keyring.next_term(0).unwrap());
        let after = keyring.reseal(&id(), &before).unwrap();
        assert_eq!(after.term(), before.term() + 1);
        assert_eq!(after.data().is_empty(), data.is_empty());
        assert_eq!(plain(&keyring.open_meta(&id(), &after).unwrap()), b"meta");
        assert_eq!(plain(&keyring.open_data(&id(), &after).unwrap()), data);
        assert_ne!(keyring.accumulator_item(&id(), &after), keyring.accumulator_item(&id(), &before));
    }
    let other = RecordId { revision: id().revision + 1, ..id() };
    assert!(matches!(keyring.reseal(&other, &sealed(&keyring)), Err(ResealError::Open(_))));
}

#[test]
fn the_reserved_flag_is_refused() {
    let keyring = known_keyring();
    let reserved = RecordId { flags: 0x81, ..id() };
    assert_eq!(keyring.seal(&reserved, &secret(META), &secret(DATA)).err(), Some(SealError::ReservedFlag));
    // Its associated data would be that of flags 1 with data.
    assert_eq!(failure(keyring.open_meta(&reserved, &sealed(&keyring))), OpenFailure::ReservedFlag);
}

#[test]
fn a_reused_buffer_holds_the_new_plaintext_only_and_nothing_after_an_error() {
    let keyring = known_keyring();
    let long = keyring.seal(&id(), &secret(&[1; 300]), &secret(DATA)).unwrap();
    let mut buffer = Zeroizing::default();
    keyring.open_into(&id(), Field::Meta, &long, &mut buffer).unwrap();
    assert_eq!(*buffer, [1; 300]);
    let place = buffer.as_ptr();
    keyring.open_into(&id(), Field::Data, &long, &mut buffer).unwrap();
    assert_eq!((buffer.as_slice(), buffer.as_ptr()), (DATA, place));
    keyring.open_into(&RecordId { flags: 2, ..id() }, Field::Data, &long, &mut buffer).unwrap_err();
    assert!(buffer.is_empty());
    keyring.verify_in(&id(), &long, &mut buffer).unwrap();
    assert!(buffer.is_empty());
}

#[test]
fn errors_and_debug_output_name_the_row_and_show_none_of_its_bytes() {
    let keyring = known_keyring();
    let good = sealed(&keyring);
    assert_eq!(
        error_text(keyring.open_data(&RecordId { name: "x\nforged line", ..id() }, &good)),
        "row of objects, kind \"Secret\", namespace \"prod\", name \"x\\nforged line\", revision 42, column data: \
         not authentic: it was changed, moved or replaced after it was sealed"
    );
    let endless = "n".repeat(1_000_000);
    assert!(error_text(keyring.open_data(&RecordId { name: &endless, ..id() }, &good)).len() < 500);
    assert_eq!(format!("{good:?}"), "Sealed { term: 2, meta: 69 bytes, data: 68 bytes }");
}

#[test]
fn items_change_with_every_sealing_and_with_either_tag() {
    let keyring = known_keyring();
    let good = sealed(&keyring);
    let item = keyring.accumulator_item(&id(), &good);
    assert_ne!(keyring.accumulator_item(&id(), &sealed(&keyring)), item);
    for bad in [
        rebuilt(&good, |_, meta, _| *meta.last_mut().unwrap() ^= 1),
        rebuilt(&good, |_, _, data| *data.last_mut().unwrap() ^= 1),
        rebuilt(&good, |_, _, data| data.clear()),
        rebuilt(&good, |term, _, _| *term = 1),
        rebuilt(&good, |_, meta, data| {
            meta.clear();
            data.truncate(3);
        }),
    ] {
        assert_ne!(keyring.accumulator_item(&id(), &bad), item);
    }
}

#[test]
fn heads_and_cursors_open_for_their_own_purpose_and_store_only() {
    let (keyring, other) = (known_keyring(), Keyring::make(0).unwrap());
    let (head, cursor) = (keyring.seal_head(b"head").unwrap(), keyring.seal_cursor(b"cursor").unwrap());
    assert_eq!(*keyring.open_head(&head).unwrap(), b"head");
    assert_eq!(*keyring.open_cursor(&cursor).unwrap(), b"cursor");
    assert_eq!(failure(keyring.open_head(&cursor)), OpenFailure::NotAuthentic);
    assert_eq!(failure(keyring.open_cursor(&head)), OpenFailure::NotAuthentic);
    assert_eq!(failure(other.open_head(&head)), OpenFailure::NotAuthentic);
    assert_eq!(error_text(keyring.open_head(&cursor)).split(':').next(), Some("head of the store"));
    for place in 0..cursor.len() {
        let mut bad = cursor.clone();
        bad[place] ^= 0x10;
        assert!(keyring.open_cursor(&bad).is_err(), "{place}");
        assert!(keyring.open_cursor(&cursor[..place]).is_err(), "{place}");
    }
}

#[test]
fn stored_forms_of_tokens_differ_by_purpose_and_by_store() {
    let (keyring, other) = (known_keyring(), Keyring::make(0).unwrap());
    assert_ne!(keyring.lookup_hash("admin", b"sr_1"), keyring.lookup_hash("refresh", b"sr_1"));
    assert_ne!(keyring.lookup_hash("admin", b"sr_1"), keyring.lookup_hash("admins", b"r_1"));
    assert_ne!(keyring.lookup_hash("admin", b"sr_1"), other.lookup_hash("admin", b"sr_1"));
}

#[test]
fn buckets_are_spread_and_within_range() {
    let keyring = known_keyring();
    let mut filled = [0_u32; 1024];
    for number in 0..20_480 {
        filled[usize::from(keyring.bucket("Secret", "prod", &number.to_string()))] += 1;
    }
    // 20 expected in each.
    assert!(filled.iter().all(|count| (1..=60).contains(count)));
}

proptest! {
    #[test]
    fn no_stored_bytes_make_the_parsers_panic_or_open(
        term in prop_oneof![Just(1_u32), Just(2), any::<u32>()],
        header in prop_oneof![Just(vec![1, 1, 0, 0, 0, 2]), Just(vec![1, 1, 0, 0, 0, 1]), Just(vec![])],
        meta in proptest::collection::vec(any::<u8>(), 0..200),
        data in proptest::collection::vec(any::<u8>(), 0..200),
        name in ".{0,40}",
        flags in any::<u8>(),
    ) {
        let keyring = known_keyring();
        let id = RecordId { name: &name, flags, ..id() };
        let meta = [header.as_slice(), &meta].concat();
        let blob = [header.get(..2).unwrap_or_default(), &meta].concat();
        let row = Sealed::from_stored(term, meta, [header.as_slice(), &data].concat());
        prop_assert!(keyring.open_meta(&id, &row).is_err());
        prop_assert!(keyring.open_data(&id, &row).is_err());
        prop_assert!(keyring.verify(&id, &row).is_err());
        prop_assert!(keyring.open_head(&blob).is_err());
        prop_assert!(keyring.open_cursor(&blob).is_err());
        prop_assert!(Keyring::unwrap(&super::known_root(), keyring.store_id(), &blob).is_err());
        prop_assert!(Keyring::decode(keyring.store_id(), &blob).is_err());
        prop_assert!(crate::crypto::Slot::decode(&blob).is_err());
        prop_assert!(crate::crypto::Head::decode(&blob).is_err());
        keyring.accumulator_item(&id, &row);
    }

    #[test]
    fn any_row_comes_back_as_it_went_in(
        meta in proptest::collection::vec(any::<u8>(), 0..600),
        data in proptest::collection::vec(any::<u8>(), 0..600),
        name in ".{0,300}",
        namespace in ".{0,300}",
        revision in any::<u64>(),
        flags in 0_u8..0x80,
    ) {
        let keyring = known_keyring();
        let id = RecordId { name: &name, namespace: &namespace, revision, flags, ..id() };
        let row = keyring.seal(&id, &secret(&meta), &secret(&data)).unwrap();
        prop_assert!(plain(&keyring.open_meta(&id, &row).unwrap()) == meta);
        prop_assert!(plain(&keyring.open_data(&id, &row).unwrap()) == data);
        prop_assert!(keyring.verify(&id, &row).is_ok());
    }
}
