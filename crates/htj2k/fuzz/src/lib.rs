//! What the fuzz targets share. A target is one call of one of the `checks`.

pub mod checks;
