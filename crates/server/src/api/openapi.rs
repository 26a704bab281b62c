//! The description as OpenAPI 3.1.

use super::resources::{QUERIES, RESOURCES, Resource};
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, Object, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, License, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
};

/// What path parameters mean.
const PLACES: [(&str, &str); 6] = [
    ("study", "Study Instance UID"),
    ("series", "Series Instance UID"),
    ("instance", "SOP Instance UID"),
    ("frames", "Frame numbers from 1, joined by commas"),
    ("path", "Tags of eight hexadecimal digits and item numbers from 0, joined by /"),
    ("id", "The name of the session"),
];

/// The document.
pub fn description() -> OpenApi {
    let mut license = License::new("MIT OR Apache-2.0");
    license.identifier = Some("MIT OR Apache-2.0".to_owned());
    let info = InfoBuilder::new()
        .title("Firstlight")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("DICOMweb (PS3.18) with exact byte ranges of resolution levels"))
        .license(Some(license));
    let mut paths = PathsBuilder::new();
    for path in RESOURCES.iter().map(|resource| resource.path) {
        paths = paths.path(path, item(path));
    }
    let components = ComponentsBuilder::new().schema("Levels", levels());
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components.build())).build()
}

/// All methods of a path.
fn item(path: &str) -> PathItem {
    let mut item = PathItem::default();
    for resource in RESOURCES.iter().filter(|resource| resource.path == path) {
        let of = PathItem::new(method(resource.method), operation(resource));
        item.merge_operations(of);
    }
    item
}

fn method(name: &str) -> HttpMethod {
    match name {
        "POST" => HttpMethod::Post,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn operation(resource: &Resource) -> Operation {
    let mut operation = OperationBuilder::new()
        .tag(if resource.path.contains("/dicom-web") || resource.path == "/wado" { "DICOMweb" } else { "Service" })
        .summary(Some(resource.summary));
    let named = resource.path.split('/').filter_map(|piece| piece.strip_prefix('{')?.strip_suffix('}'));
    for name in named {
        let meaning = PLACES.iter().find(|place| place.0 == name).map_or("", |place| place.1);
        operation = operation.parameter(parameter(name, ParameterIn::Path, "string", meaning));
    }
    for (name, kind, meaning) in QUERIES.iter().filter(|query| resource.query.contains(&query.0)) {
        operation = operation.parameter(parameter(name, ParameterIn::Query, kind, meaning));
    }
    if resource.statuses.contains(&206) {
        let meaning = "Ranges of bytes; they address the body as it is sent, multipart included";
        operation = operation.parameter(parameter("Range", ParameterIn::Header, "string", meaning));
    }
    if resource.path == "/session/{id}/events" && resource.method == "POST" {
        operation = operation.parameter(parameter(
            "Session-Participant",
            ParameterIn::Header,
            "string",
            "The key of the hello",
        ));
    }
    if !resource.body.is_empty() {
        let mut body = RequestBodyBuilder::new().required(Some(Required::True));
        for media in resource.body {
            body = body.content(*media, ContentBuilder::new().build());
        }
        operation = operation.request_body(Some(body.build()));
    }
    if !resource.statuses.iter().any(|status| matches!(status, 201 | 204)) {
        operation = operation.response("200", whole(resource, "The whole"));
    }
    for status in resource.statuses.iter().chain(&[400, 403, 503]) {
        let response = match status {
            201 => whole(resource, "Made"),
            202 => whole(resource, "Some are stored; which, and why the others are not, is told"),
            409 if resource.method == "DELETE" => Response::new("The study is held"),
            409 => whole(resource, "None is stored; the reasons are told"),
            507 => whole(resource, "None is stored: the storage is full"),
            status => told(*status),
        };
        operation = operation.response(status.to_string(), response);
    }
    operation.build()
}

fn parameter(name: &str, place: ParameterIn, kind: &str, meaning: &str) -> Parameter {
    let required = if matches!(place, ParameterIn::Path) { Required::True } else { Required::False };
    let kind = match kind {
        "integer" => Type::Integer,
        "number" => Type::Number,
        "boolean" => Type::Boolean,
        _ => Type::String,
    };
    let schema = Object::with_type(SchemaType::Type(kind));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(meaning))
        .schema(Some(RefOr::T(Schema::Object(schema))))
        .build()
}

/// The answer with a body, in all forms that it has.
fn whole(resource: &Resource, meaning: &str) -> Response {
    let mut response = ResponseBuilder::new().description(meaning);
    for media in resource.media {
        let mut content = ContentBuilder::new();
        if resource.path.ends_with("/levels") {
            content = content.schema(Some(Ref::from_schema_name("Levels")));
        }
        response = response.content(*media, content.build());
    }
    response.build()
}

/// An answer that says no more than its status.
fn told(status: u16) -> Response {
    Response::new(match status {
        204 => "Done",
        206 => "The bytes asked for, with Content-Range; or, without it, what of a study or series can be given",
        304 => "The client holds it already",
        400 => "The request cannot be understood",
        403 => "Host or Origin is not allowed",
        404 => "There is no such thing",
        406 => "It cannot be given in a form that the client takes",
        405 => "The server is read only",
        408 => "The body came too slowly",
        413 => "The body is too large",
        415 => "The body is of another media type",
        429 => "Too often",
        416 => "The range is not within it",
        _ => "Busy",
    })
}

fn levels() -> Schema {
    let integer = |meaning: &'static str| {
        let object =
            ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
        object.description(Some(meaning))
    };
    let frame = ObjectBuilder::new()
        .property("length", integer("Bytes of the frame"))
        .required("length")
        .property("ends", ArrayBuilder::new().items(integer("Bytes up to the end of a level, coarsest first")))
        .required("ends")
        .property("crc32", ArrayBuilder::new().items(integer("CRC-32 of the samples of a level")));
    let instance = ObjectBuilder::new()
        .property("transferSyntax", ObjectBuilder::new().schema_type(Type::String))
        .required("transferSyntax")
        .property("bodyOffset", integer("Bytes before the codestream in the default multipart body"))
        .required("bodyOffset")
        .property("frames", ArrayBuilder::new().items(frame))
        .required("frames");
    let instances = ObjectBuilder::new()
        .description(Some("By SOP Instance UID"))
        .additional_properties(Some(RefOr::T(Schema::Object(instance.build()))));
    Schema::Object(ObjectBuilder::new().property("instances", instances).required("instances").build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_of_version_3_1_and_whole() {
        let text = serde_json::to_value(description()).unwrap();
        assert!(text["openapi"].as_str().unwrap().starts_with("3.1"));
        assert_eq!(text["info"]["license"]["identifier"], "MIT OR Apache-2.0");
        let paths = text["paths"].as_object().unwrap();
        for resource in RESOURCES {
            let operation = &paths[resource.path][resource.method.to_ascii_lowercase()];
            assert_eq!(operation["summary"], resource.summary);
            let told = operation["parameters"].as_array().map_or(0, Vec::len);
            assert!(told >= resource.query.len() + resource.path.matches('{').count(), "{}", resource.path);
        }
        let levels = &paths["/dicom-web/studies/{study}/series/{series}/levels"]["get"]["responses"]["200"]["content"];
        assert_eq!(levels["application/json"]["schema"]["$ref"], "#/components/schemas/Levels");
    }
}
