//! Reads a bbolt file, which etcd's database and its snapshots are. Read-only, and of a file that anybody may have made.
//!
//! ```text
//! page    id u64 ‖ flags u16 ‖ count u16 ‖ overflow u32 ‖ elements…      so many pages more belong to it as overflow says
//! meta    magic u32 ‖ version u32 ‖ page size u32 ‖ flags u32 ‖ root u64 ‖ sequence u64 ‖ freelist u64 ‖ pages u64 ‖ txid u64
//!         ‖ FNV-1a of what is before it u64
//! branch  (pos u32 ‖ key length u32 ‖ page u64)…
//! leaf    (flags u32 ‖ pos u32 ‖ key length u32 ‖ value length u32)…       pos counts from the element itself
//! bucket  a leaf's value: root u64 ‖ sequence u64 ‖ the page itself, where root is 0
//! ```
//!
//! Integers are little-endian. Source: `go.etcd.io/bbolt` 1.4. What it never does: follow a page twice, read beyond the file or
//! an element beyond its page, or take more memory than a bounded page and the way to it.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use zeroize::Zeroizing;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const PAGE_HEADER: usize = 16;
const META_BYTES: usize = 64;
const ELEMENT: usize = 16;
const BUCKET_HEADER: usize = 16;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const META: u16 = 0x04;
const IS_BUCKET: u32 = 0x01;
const PAGE_SIZES: std::ops::RangeInclusive<u64> = 512..=65_536;
/// A page with all that belongs to it.
const WHOLE_PAGE_MAX: u64 = 64 * 1024 * 1024;
/// A tree of so many levels has more pages than any disk.
const LEVELS: usize = 32;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BoltError {
    /// The operating system said so.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is another file.
    #[error("it is no bbolt file")]
    NotBolt,
    /// It is not as bbolt writes it.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

/// An open file.
pub struct Bolt {
    file: File,
    page_size: u64,
    /// Pages that the file may have.
    pages: u64,
    root: u64,
}

/// Is given each key and value; no to the rest ends the reading.
type Take<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), BoltError> + 'a;

/// Is given each element with its flags.
type TakeElement<'a> = dyn FnMut(u32, &[u8], &[u8]) -> Result<(), BoltError> + 'a;

struct MetaPage {
    page_size: u64,
    root: u64,
    pages: u64,
    transaction: u64,
}

impl Bolt {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, BoltError> {
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(BoltError::NotBolt);
        }
        let length = file.metadata()?.len();
        let first = read_meta(&file, 0, length);
        // Where the second one is says the first one, or else it is tried.
        let mut sizes: Vec<u64> = (9..=16).map(|power| 1 << power).collect();
        if let Some(meta) = &first {
            sizes = vec![meta.page_size];
        }
        let second =
            sizes.into_iter().find_map(|size| read_meta(&file, size, length).filter(|meta| meta.page_size == size));
        let meta = match (first, second) {
            (Some(first), Some(second)) => {
                if first.transaction > second.transaction {
                    first
                } else {
                    second
                }
            }
            (Some(meta), None) | (None, Some(meta)) => meta,
            (None, None) => return Err(BoltError::NotBolt),
        };
        let pages = meta.pages.min(length / meta.page_size);
        Ok(Self { file, page_size: meta.page_size, pages, root: meta.root })
    }

    /// Hands every key and value of a bucket to `take`, in order of the keys. `false`: there is no such bucket.
    pub fn each(&self, bucket: &[u8], take: &mut Take<'_>) -> Result<bool, BoltError> {
        let mut visited = HashSet::new();
        let mut found: Option<(u64, Zeroizing<Vec<u8>>)> = None;
        self.walk(self.root, 0, &mut visited, &mut |flags, key, value| {
            if flags & IS_BUCKET != 0 && key == bucket {
                let root = u64_at(value, 0)?;
                let page = value.get(BUCKET_HEADER..).ok_or(BoltError::Damaged("a bucket is cut off"))?;
                found = Some((root, Zeroizing::new(page.to_vec())));
            }
            Ok(())
        })?;
        let Some((root, inline)) = found else { return Ok(false) };
        let mut plain = |flags: u32, key: &[u8], value: &[u8]| {
            if flags & IS_BUCKET == 0 { take(key, value) } else { Ok(()) }
        };
        if root == 0 {
            elements(&inline, &mut plain)?;
        } else {
            self.walk(root, 0, &mut visited, &mut plain)?;
        }
        Ok(true)
    }

    fn walk(
        &self,
        id: u64,
        level: usize,
        visited: &mut HashSet<u64>,
        take: &mut TakeElement<'_>,
    ) -> Result<(), BoltError> {
        if level >= LEVELS {
            return Err(BoltError::Damaged("its tree is too deep"));
        }
        if !visited.insert(id) {
            return Err(BoltError::Damaged("a page occurs twice"));
        }
        let page = self.page(id)?;
        if u16_at(&page, 8)? == LEAF {
            return elements(&page, take);
        }
        if u16_at(&page, 8)? != BRANCH {
            return Err(BoltError::Damaged("a page of another kind is in its tree"));
        }
        for at in 0..usize::from(u16_at(&page, 10)?) {
            let child = u64_at(&page, PAGE_HEADER + at * ELEMENT + 8)?;
            self.walk(child, level + 1, visited, take)?;
        }
        Ok(())
    }

    /// A page with all that belongs to it.
    fn page(&self, id: u64) -> Result<Zeroizing<Vec<u8>>, BoltError> {
        let beyond = BoltError::Damaged("a page lies beyond the end");
        if id >= self.pages {
            return Err(beyond);
        }
        let offset = id.checked_mul(self.page_size).ok_or(BoltError::Damaged("a page lies beyond the end"))?;
        let mut header = [0; PAGE_HEADER];
        self.file.read_exact_at(&mut header, offset)?;
        if u64_at(&header, 0)? != id {
            return Err(BoltError::Damaged("a page has another number"));
        }
        let whole = u64::from(u32_at(&header, 12)?) + 1;
        let bytes = whole.saturating_mul(self.page_size);
        if whole > self.pages - id || bytes > WHOLE_PAGE_MAX {
            return Err(beyond);
        }
        let bytes = usize::try_from(bytes).map_err(|_| BoltError::Damaged("a page is too long"))?;
        let mut page = Zeroizing::new(vec![0; bytes]);
        self.file.read_exact_at(&mut page, offset)?;
        Ok(page)
    }
}

/// The elements of a leaf.
fn elements(page: &[u8], take: &mut TakeElement<'_>) -> Result<(), BoltError> {
    if u16_at(page, 8)? != LEAF {
        return Err(BoltError::Damaged("a page of another kind is in its tree"));
    }
    let length = |number: u32| usize::try_from(number).map_err(|_| BoltError::Damaged("an element is too long"));
    for at in 0..usize::from(u16_at(page, 10)?) {
        let element = PAGE_HEADER + at * ELEMENT;
        let (flags, position) = (u32_at(page, element)?, length(u32_at(page, element + 4)?)?);
        let (key, value) = (length(u32_at(page, element + 8)?)?, length(u32_at(page, element + 12)?)?);
        let data = element.checked_add(position).and_then(|start| page.get(start..));
        let (key, rest) = data
            .and_then(|data| data.split_at_checked(key))
            .ok_or(BoltError::Damaged("an element lies beyond its page"))?;
        let value = rest.get(..value).ok_or(BoltError::Damaged("an element lies beyond its page"))?;
        take(flags, key, value)?;
    }
    Ok(())
}

/// The meta page at an offset; `None` if none is there, or it is not whole.
fn read_meta(file: &File, offset: u64, length: u64) -> Option<MetaPage> {
    let mut page = [0; PAGE_HEADER + META_BYTES];
    if offset.checked_add(page.len() as u64)? > length {
        return None;
    }
    file.read_exact_at(&mut page, offset).ok()?;
    let meta = page.get(PAGE_HEADER..)?;
    let is_meta = u16_at(&page, 8).ok()? & META != 0
        && u32_at(meta, 0).ok()? == MAGIC
        && u32_at(meta, 4).ok()? == VERSION
        && u64_at(meta, META_BYTES - 8).ok()? == fnv(meta.get(..META_BYTES - 8)?);
    let page_size = u64::from(u32_at(meta, 8).ok()?);
    if !is_meta || !PAGE_SIZES.contains(&page_size) || !page_size.is_power_of_two() {
        return None;
    }
    let number = |at| u64_at(meta, at).ok();
    Some(MetaPage { page_size, root: number(16)?, pages: number(40)?, transaction: number(48)? })
}

/// FNV-1a of 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], BoltError> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.copied().ok_or(BoltError::Damaged("a page is cut off"))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, BoltError> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, BoltError> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, BoltError> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
#[path = "bolt_tests.rs"]
mod tests;
