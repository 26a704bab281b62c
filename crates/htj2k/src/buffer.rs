//! Memory that is kept from frame to frame and not cleared in between.

use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

/// A slice that can be made longer or shorter; what is in it then is whatever was there before, or zeros.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer<T> {
    items: Vec<T>,
    length: usize,
}

impl<T: Copy + Default> Buffer<T> {
    pub(crate) fn set_length(&mut self, length: usize) {
        if length > self.items.len() {
            // Not `resize`, which would copy what nobody wants any more.
            if length > self.items.capacity() {
                self.items = Vec::new();
                self.items.reserve_exact(length);
            }
            self.items.resize(length, T::default());
        }
        self.length = length;
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items[..self.length]
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items[..self.length]
    }
}
