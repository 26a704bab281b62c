//! Firstlight htj2k.

extern crate alloc;

mod block;
