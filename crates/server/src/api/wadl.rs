//! The capabilities of the DICOMweb root as WADL (PS3.18 8.9.4).

use super::resources::{RESOURCES, Resource};
use std::fmt::Write;

/// The document. `root`: the address of the DICOMweb root.
pub fn capabilities(root: &str) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<application xmlns=\"http://wadl.dev.java.net/2009/02\">",
    );
    let _ = write!(out, "<resources base=\"{}\">", escaped(root));
    for resource in RESOURCES {
        if let Some(path) = resource.path.strip_prefix("/dicom-web/") {
            write_resource(&mut out, path, resource);
        }
    }
    out.push_str("</resources></application>\n");
    out
}

fn write_resource(out: &mut String, path: &str, resource: &Resource) {
    let _ = write!(out, "<resource path=\"{path}\">");
    for name in path.split('/').filter_map(|piece| piece.strip_prefix('{')?.strip_suffix('}')) {
        let _ = write!(out, "<param name=\"{name}\" style=\"template\" required=\"true\"/>");
    }
    let _ = write!(out, "<method name=\"{}\"><request>", resource.method);
    for name in resource.query {
        let _ = write!(out, "<param name=\"{name}\" style=\"query\"/>");
    }
    let status = if resource.statuses.contains(&204) { 204 } else { 200 };
    let _ = write!(out, "</request><response status=\"{status}\">");
    for media in resource.media {
        let _ = write!(out, "<representation mediaType=\"{}\"/>", escaped(media));
    }
    out.push_str("</response></method></resource>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_of_the_root_is_in_it() {
        let text = capabilities("http://pacs.example.org/dicom-web");
        assert!(text.contains("<resources base=\"http://pacs.example.org/dicom-web\">"));
        for path in RESOURCES.iter().filter_map(|resource| resource.path.strip_prefix("/dicom-web/")) {
            assert!(text.contains(&format!("<resource path=\"{path}\">")), "{path}");
        }
        assert!(!text.contains("healthz"));
        assert!(text.contains("mediaType=\"multipart/related; type=&quot;application/dicom&quot;\""));
    }
}
