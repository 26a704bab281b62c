//! Gradients to context numbers (T.87 A.3.3, A.3.4).

use super::header::Parameters;

/// Q of every gradient up to T3; beyond, it is the same.
pub(super) struct Quantizer {
    table: Vec<i8>,
    last: i32,
}

impl Quantizer {
    pub(super) fn new(parameters: &Parameters) -> Quantizer {
        let [first, second, third] = parameters.thresholds;
        let size = |gradient: i32| match gradient {
            _ if gradient >= third => 4,
            _ if gradient >= second => 3,
            _ if gradient >= first => 2,
            _ if gradient > parameters.near => 1,
            _ => 0,
        };
        let table = (-third..=third).map(|d: i32| (size(d.abs()) * d.signum()) as i8).collect();
        Quantizer { table, last: third }
    }

    #[inline(always)]
    pub(super) fn of(&self, gradient: i32) -> i32 {
        let place = gradient.max(-self.last).min(self.last) + self.last;
        i32::from(self.table[place as usize])
    }
}
