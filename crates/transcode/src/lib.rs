//! Firstlight transcode.
