//! Firstlight server.
