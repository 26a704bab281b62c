//! Firstlight htj2k.
