//! Files as bbolt writes them, and every one byte of them changed. A genuine etcd's snapshot is read in `tests/it/kms`.

use std::fs;

use super::*;

const PAGE: usize = 512;

/// A file: two meta pages, a freelist's place, the root leaf with bucket `key`, whose branch leads to two leaves.
fn file() -> Vec<u8> {
    let mut file = vec![0; PAGE * 7];
    for id in 0..2_u64 {
        let meta = &mut file[usize::try_from(id).unwrap() * PAGE..][..PAGE];
        header(meta, id, META, 0, 0);
        meta[16..20].copy_from_slice(&MAGIC.to_le_bytes());
        meta[20..24].copy_from_slice(&VERSION.to_le_bytes());
        meta[24..28].copy_from_slice(&number(PAGE).to_le_bytes());
        for (at, number) in [(32, 3), (48, 2), (56, 7), (64, id + 1)] {
            meta[at..at + 8].copy_from_slice(&u64::to_le_bytes(number));
        }
        let sum = fnv(&meta[16..72]);
        meta[72..80].copy_from_slice(&sum.to_le_bytes());
    }
    let bucket = [4_u64.to_le_bytes(), 0_u64.to_le_bytes()].concat();
    leaf(&mut file[3 * PAGE..4 * PAGE], 3, &[(IS_BUCKET, b"key", &bucket), (IS_BUCKET, b"meta", &bucket)]);
    let branch = &mut file[4 * PAGE..5 * PAGE];
    header(branch, 4, BRANCH, 2, 0);
    for (at, child) in [5_u64, 6].into_iter().enumerate() {
        branch[16 + at * 16 + 8..16 + at * 16 + 16].copy_from_slice(&child.to_le_bytes());
    }
    leaf(&mut file[5 * PAGE..6 * PAGE], 5, &[(0, b"a", b"one"), (0, b"b", b"")]);
    leaf(&mut file[6 * PAGE..7 * PAGE], 6, &[(0, b"c", b"three")]);
    file
}

fn header(page: &mut [u8], id: u64, flags: u16, count: u16, overflow: u32) {
    page[..8].copy_from_slice(&id.to_le_bytes());
    page[8..10].copy_from_slice(&flags.to_le_bytes());
    page[10..12].copy_from_slice(&count.to_le_bytes());
    page[12..16].copy_from_slice(&overflow.to_le_bytes());
}

fn leaf(page: &mut [u8], id: u64, rows: &[(u32, &[u8], &[u8])]) {
    header(page, id, LEAF, u16::try_from(rows.len()).unwrap(), 0);
    let mut data = 16 + rows.len() * 16;
    for (at, (flags, key, value)) in rows.iter().enumerate() {
        let element = 16 + at * 16;
        let numbers = [*flags, number(data - element), number(key.len()), number(value.len())];
        for (place, number) in numbers.into_iter().enumerate() {
            page[element + place * 4..][..4].copy_from_slice(&number.to_le_bytes());
        }
        page[data..data + key.len()].copy_from_slice(key);
        page[data + key.len()..][..value.len()].copy_from_slice(value);
        data += key.len() + value.len();
    }
}

fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap()
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn read(bytes: &[u8], bucket: &[u8]) -> Result<Option<Rows>, BoltError> {
    let folder = tempfile::tempdir().unwrap();
    read_by(&folder.path().join("db"), bytes, bucket)
}

fn read_by(path: &Path, bytes: &[u8], bucket: &[u8]) -> Result<Option<Rows>, BoltError> {
    fs::write(path, bytes).unwrap();
    let mut rows = Vec::new();
    let found = Bolt::open(path)?.each(bucket, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        Ok(())
    })?;
    Ok(found.then_some(rows))
}

#[test]
fn every_row_of_a_bucket_is_read_in_order() {
    let rows = read(&file(), b"key").unwrap().unwrap();
    let expected: [(&[u8], &[u8]); 3] = [(b"a", b"one"), (b"b", b""), (b"c", b"three")];
    assert_eq!(rows, expected.map(|(key, value)| (key.to_vec(), value.to_vec())));
    assert!(read(&file(), b"other").unwrap().is_none());
    // One meta page is enough, and what a snapshot has behind its last page is no page.
    let mut one = file();
    one[72] ^= 1;
    one.extend_from_slice(&[7; 32]);
    assert_eq!(read(&one, b"key").unwrap().unwrap().len(), 3);
    let mut none = one;
    none[PAGE + 72] ^= 1;
    assert!(matches!(read(&none, b"key"), Err(BoltError::NotBolt)));
    for other in [&b""[..], b"k8s", &[0; 4096]] {
        assert!(matches!(read(other, b"key"), Err(BoltError::NotBolt)));
    }
}

#[test]
fn a_small_bucket_lies_in_its_own_row() {
    let mut file = file();
    let mut inline = vec![0; BUCKET_HEADER + 128];
    leaf(&mut inline[BUCKET_HEADER..], 0, &[(0, b"a", b"one")]);
    leaf(&mut file[3 * PAGE..4 * PAGE], 3, &[(IS_BUCKET, b"key", &inline)]);
    assert_eq!(read(&file, b"key").unwrap().unwrap(), [(b"a".to_vec(), b"one".to_vec())]);
}

#[test]
fn a_tree_that_bites_its_tail_is_refused() {
    let mut circle = file();
    circle[4 * PAGE + 24..4 * PAGE + 32].copy_from_slice(&4_u64.to_le_bytes());
    assert!(matches!(read(&circle, b"key"), Err(BoltError::Damaged("a page occurs twice"))));
    let mut wide = file();
    wide[5 * PAGE + 12..5 * PAGE + 16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(read(&wide, b"key"), Err(BoltError::Damaged("a page lies beyond the end"))));
    let mut far = file();
    far[4 * PAGE + 24..4 * PAGE + 32].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(read(&far, b"key"), Err(BoltError::Damaged("a page lies beyond the end"))));
}

#[test]
fn no_byte_that_is_changed_and_no_end_that_is_cut_off_is_more_than_an_error() {
    let whole = file();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    // Where there is nothing but zeros, nothing is read.
    for at in (0..whole.len()).filter(|at| at % PAGE < 128) {
        for value in [0, 1, 0x7f, 0xff] {
            let mut changed = whole.clone();
            changed[at] = value;
            // It is read, or it is not: it does not panic, and comes to an end.
            let _ = read_by(&path, &changed, b"key");
        }
    }
    for end in (0..whole.len()).step_by(7) {
        let _ = read_by(&path, &whole[..end], b"key");
    }
}
