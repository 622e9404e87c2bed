//! Masking (RFC 6455 section 5.3): XOR with a four byte key, from any offset of a payload.
//!
//! Masking and unmasking are the same operation. Choosing a key is not done here: a fresh key needs
//! a strong source of entropy, which belongs to the caller.

/// The masking key of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MaskKey(pub [u8; 4]);

impl MaskKey {
    /// Masks or unmasks `bytes`, the first of which is the payload's byte number `offset`.
    pub fn apply(&self, offset: u64, bytes: &mut [u8]) {
        let mut key = self.0;
        key.rotate_left((offset % 4) as usize);

        // Whole blocks let the compiler use vectors; a block is a multiple of the key's length.
        let (blocks, tail) = bytes.as_chunks_mut::<16>();
        let block_key = {
            let [a, b, c, d] = key;
            u128::from_ne_bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d])
        };
        for block in blocks {
            *block = (u128::from_ne_bytes(*block) ^ block_key).to_ne_bytes();
        }
        for (byte, key) in tail.iter_mut().zip(key.iter().cycle()) {
            *byte ^= key;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: MaskKey = MaskKey([0x37, 0xfa, 0x21, 0x3d]);

    #[test]
    fn masks_as_the_example_of_section_5_7() {
        let mut bytes = *b"Hello";
        KEY.apply(0, &mut bytes);
        assert_eq!(bytes, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn equals_the_formula_of_section_5_3_at_every_offset_and_length() {
        for offset in (0..9).chain([u64::MAX - 1, u64::MAX]) {
            for len in 0..70_u8 {
                let plain: Vec<u8> = (0..len).collect();
                let formula: Vec<u8> = (plain.iter().zip(0_u64..))
                    .map(|(byte, i)| byte ^ KEY.0[(offset.wrapping_add(i) % 4) as usize])
                    .collect();
                let mut masked = plain.clone();
                KEY.apply(offset, &mut masked);
                assert_eq!(masked, formula, "offset {offset}, {len} bytes");
                KEY.apply(offset, &mut masked);
                assert_eq!(masked, plain, "masking twice is the identity");
            }
        }
    }
}
