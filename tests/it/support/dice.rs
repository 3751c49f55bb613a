//! Random choices that a seed repeats.

/// A generator (SplitMix64).
pub struct Dice(u64);

impl Dice {
    /// Repeats what this seed gave before.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed in `STRONGROOM_TEST_SEED`, else a new one.
    pub fn seed() -> u64 {
        if let Ok(text) = std::env::var("STRONGROOM_TEST_SEED") {
            return text.parse().expect("STRONGROOM_TEST_SEED is a number");
        }
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
