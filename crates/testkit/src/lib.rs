//! For tests only: small instances, and where the corpus is.

/// An image of 16 x 16 zeros in Explicit VR Little Endian.
pub fn image() -> Vec<u8> {
    let mut file = [&[0; 128][..], b"DICM"].concat();
    let mut element = |group: u16, number: u16, vr: &str, value: &[u8]| {
        file.extend([group.to_le_bytes(), number.to_le_bytes()].concat());
        file.extend(vr.as_bytes());
        match vr {
            "OW" => file.extend([&[0, 0][..], &(value.len() as u32).to_le_bytes()].concat()),
            _ => file.extend((value.len() as u16).to_le_bytes()),
        }
        file.extend(value);
    };
    element(2, 0, "UL", &28u32.to_le_bytes());
    element(2, 0x10, "UI", b"1.2.840.10008.1.2.1\0");
    element(8, 0x16, "UI", b"1.2.840.10008.5.1.4.1.1.7\0");
    element(8, 0x18, "UI", b"1.3\0");
    element(8, 0x60, "CS", b"OT");
    element(0x20, 0x0D, "UI", b"1.1\0");
    element(0x20, 0x0E, "UI", b"1.2\0");
    element(0x28, 2, "US", &1u16.to_le_bytes());
    element(0x28, 4, "CS", b"MONOCHROME2 ");
    for (number, value) in [(0x10, 16), (0x11, 16), (0x100, 16), (0x101, 12), (0x102, 11), (0x103, 0u16)] {
        element(0x28, number, "US", &value.to_le_bytes());
    }
    element(0x7FE0, 0x10, "OW", &[0; 512]);
    file
}
