//! Secrets made from numbers, so that what was written can be asked for again without being kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Size of a value.
const VALUE_BYTES: usize = 1024;

/// The objects of one namespace. Names are uniform and random, as are values.
#[derive(Debug, Clone)]
pub struct Objects {
    /// Where they are.
    pub namespace: &'static str,
    /// Size of each value, before encoding.
    pub value_bytes: usize,
    seed: u64,
}

impl Objects {
    /// Of 1 KiB each. Another seed gives other names.
    pub fn new(namespace: &'static str, seed: u64) -> Self {
        Self { namespace, value_bytes: VALUE_BYTES, seed: mix(seed) }
    }

    /// Of another size.
    pub fn with_value_bytes(self, value_bytes: usize) -> Self {
        Self { value_bytes, ..self }
    }

    /// The name of one; another number gives another name.
    pub fn name(&self, at: u64) -> String {
        format!("{:016x}", mix(self.seed.wrapping_add(at)))
    }

    /// Its value, encoded.
    pub fn value(&self, at: u64) -> String {
        let words = self.value_bytes.div_ceil(8);
        let mut value = Vec::with_capacity(words * 8);
        let mut state = mix(self.seed ^ mix(at));
        for _ in 0..words {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            value.extend_from_slice(&mix(state).to_le_bytes());
        }
        value.truncate(self.value_bytes);
        STANDARD.encode(value)
    }
}

/// A permutation of the numbers without visible order (the finalizer of splitmix64).
pub fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
