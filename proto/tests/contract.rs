//! Our .proto files say what etcd's API says: every message, field number, type, oneof, enum value and method.
//!
//! `tests/contract/*.txt` are the expectation, one fact a line. They were derived from the published API and not
//! from our files, so a wrong number in either shows up here. The comparison goes both ways: a field we invent
//! fails as well as one we forget.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

fn descriptors() -> Vec<FileDescriptorProto> {
    FileDescriptorSet::decode(quorate_proto::FILE_DESCRIPTOR_SET).expect("build.rs wrote a descriptor set").file
}

/// The facts of an expectation, without comments. A fact that is written twice is a mistake of the table.
fn expected(table: &str) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        assert!(facts.insert(line.to_owned()), "listed twice: {line}");
    }
    facts
}

#[track_caller]
fn assert_same(ours: &BTreeSet<String>, published: &BTreeSet<String>) {
    let missing: Vec<_> = published.difference(ours).collect();
    let invented: Vec<_> = ours.difference(published).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "published but not ours: {missing:#?}\nours but not published: {invented:#?}"
    );
}

/// Calls `visit` with every message, nested ones included, and its full name.
fn each_message(scope: &str, messages: &[DescriptorProto], visit: &mut impl FnMut(&str, &DescriptorProto)) {
    for message in messages {
        let name = format!("{scope}.{}", message.name());
        visit(&name, message);
        each_message(&name, &message.nested_type, visit);
    }
}

fn type_name(kind: Type, named: &str) -> String {
    match kind {
        Type::Bool => "bool".to_owned(),
        Type::Bytes => "bytes".to_owned(),
        Type::Int32 => "int32".to_owned(),
        Type::Int64 => "int64".to_owned(),
        Type::String => "string".to_owned(),
        Type::Uint32 => "uint32".to_owned(),
        Type::Uint64 => "uint64".to_owned(),
        Type::Message | Type::Enum => named.trim_start_matches('.').to_owned(),
        other => format!("{other:?}, which the API does not use"),
    }
}

fn fields_of(name: &str, message: &DescriptorProto) -> Vec<String> {
    if message.field.is_empty() {
        return vec![format!("{name} -")];
    }
    let line = |field: &prost_types::FieldDescriptorProto| {
        let repeated = if field.label() == Label::Repeated { "repeated " } else { "" };
        let kind = type_name(field.r#type(), field.type_name());
        let oneof = field.oneof_index.map_or(String::new(), |index| {
            let index = usize::try_from(index).expect("protox numbers oneofs from 0");
            format!(" oneof {}", message.oneof_decl[index].name())
        });
        format!("{name} {} {} {repeated}{kind}{oneof}", field.number(), field.name())
    };
    message.field.iter().map(line).collect()
}

fn values_of(scope: &str, kind: &EnumDescriptorProto) -> Vec<String> {
    let value = |value: &prost_types::EnumValueDescriptorProto| {
        format!("{scope}.{} {} = {}", kind.name(), value.name(), value.number())
    };
    kind.value.iter().map(value).collect()
}

#[test]
fn every_field_has_the_published_number_and_type() {
    let mut ours = BTreeSet::new();
    for file in descriptors() {
        each_message(file.package(), &file.message_type, &mut |name, message| {
            ours.extend(fields_of(name, message));
        });
    }
    assert_same(&ours, &expected(include_str!("contract/fields.txt")));
}

#[test]
fn every_enum_value_has_the_published_number() {
    let mut ours = BTreeSet::new();
    for file in descriptors() {
        ours.extend(file.enum_type.iter().flat_map(|kind| values_of(file.package(), kind)));
        each_message(file.package(), &file.message_type, &mut |name, message| {
            ours.extend(message.enum_type.iter().flat_map(|kind| values_of(name, kind)));
        });
    }
    assert_same(&ours, &expected(include_str!("contract/enums.txt")));
}

#[test]
fn every_method_has_the_published_path_messages_and_streaming() {
    let mut ours = BTreeSet::new();
    for file in descriptors() {
        for service in &file.service {
            for method in &service.method {
                let streaming = match (method.client_streaming(), method.server_streaming()) {
                    (false, false) => "unary",
                    (false, true) => "server",
                    (true, true) => "bidi",
                    (true, false) => "client, which the API does not use",
                };
                ours.insert(format!(
                    "/{}.{}/{} {} {} {streaming}",
                    file.package(),
                    service.name(),
                    method.name(),
                    method.input_type().trim_start_matches('.'),
                    method.output_type().trim_start_matches('.'),
                ));
            }
        }
    }
    assert_same(&ours, &expected(include_str!("contract/methods.txt")));
}
