// SPDX-License-Identifier: Apache-2.0
//! A random generator that gives the same numbers everywhere for the same seed.

/// SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    pub fn bytes16(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.word().to_be_bytes());
        bytes[8..].copy_from_slice(&self.word().to_be_bytes());
        bytes
    }

    /// Returns a number. One in four is near a limit, one in four looks like a time in ms, and the
    /// others have any number of bits.
    pub fn number(&mut self) -> u64 {
        const LIMITS: [u64; 9] =
            [0, 1, 9, 255, 65_535, u32::MAX as u64, 1 << 53, i64::MAX as u64, u64::MAX];
        match self.below(4) {
            0 => LIMITS[self.below(LIMITS.len())].wrapping_add(self.word() % 3).wrapping_sub(1),
            1 => 1_700_000_000_000 + self.word() % 1_000_000_000_000,
            _ => {
                let bits = self.below(64);
                self.word() >> bits
            }
        }
    }
}
