//! The interface described: one table of resources, told as OpenAPI 3.1 and as the capabilities of PS3.18 8.9 (WADL).

mod openapi;
mod resources;
mod wadl;

pub use openapi::description;
pub use resources::allowed;
pub use wadl::capabilities;
