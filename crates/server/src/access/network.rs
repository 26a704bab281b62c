//! Addresses, alone and by their beginning.

use std::net::IpAddr;
use std::str::FromStr;

/// An address, or all with the same beginning: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Is the address in it?
    pub fn has(&self, address: IpAddr) -> bool {
        let prefix = |value: u128, of: u32| value.checked_shr(of - u32::from(self.bits)).unwrap_or(0);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => prefix(u32::from(a).into(), 32) == prefix(u32::from(b).into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => prefix(a.into(), 128) == prefix(b.into(), 128),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let wrong = || format!("\"{}\" is no address: write 10.0.0.7 or 10.0.0.0/8", text.escape_debug());
        let (address, bits) = text.trim().split_once('/').map_or((text.trim(), None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse::<IpAddr>().map_err(|_| wrong())?.to_canonical();
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).ok().filter(|bits| *bits <= most).ok_or_else(wrong)?;
        Ok(Network { address, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let has = |network: &str, address: &str| network.parse::<Network>().unwrap().has(address.parse().unwrap());
        assert!(has("10.0.0.7", "10.0.0.7") && has("10.0.0.0/8", "10.255.1.1") && has("0.0.0.0/0", "1.2.3.4"));
        assert!(has("10.0.0.7", "::ffff:10.0.0.7") && has("fd00::/8", "fd12::1") && has("::1", "::1"));
        assert!(!has("10.0.0.7", "10.0.0.8") && !has("10.0.0.0/8", "11.0.0.1") && !has("::/0", "1.2.3.4"));
        for wrong in ["", "10.0.0", "10.0.0.0/33", "::/129", "host", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
