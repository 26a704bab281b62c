//! Firstlight archive.
