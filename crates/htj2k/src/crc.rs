//! CRC-32 as in IEEE 802.3, zlib and PNG, by a table of a byte.

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let mut c = n as u32;
        let mut bit = 0;
        while bit < 8 {
            c = if c & 1 != 0 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 };
            bit += 1;
        }
        table[n] = c;
        n += 1;
    }
    table
}

/// The checksum of bytes that come in small groups.
pub(crate) fn of<const N: usize>(groups: impl Iterator<Item = [u8; N]>) -> u32 {
    let step = |c: u32, byte: u8| TABLE[(c as u8 ^ byte) as usize] ^ (c >> 8);
    !groups.fold(!0, |c, group| group.into_iter().fold(c, step))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_is_right() {
        assert_eq!(super::of(b"123456789".iter().map(|b| [*b])), 0xCBF4_3926);
    }
}
