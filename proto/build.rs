//! Compiles the .proto files with protox, so that no `protoc` is needed, into two Rust views of one wire format.
//!
//! `api` is the format as published, for callers. `wire` is for members: there a few embedded messages are plain
//! bytes (see [`EMBEDDED`]), because a message field and a bytes field look the same on the wire.
//! The descriptor set that is published beside them is the unchanged one.

use std::{env, error::Error, fs, path::Path};

use prost::Message;
use prost_types::{
    DescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

/// The published API.
const ETCD: [&str; 9] = [
    "etcd/auth.proto",
    "etcd/health.proto",
    "etcd/kv.proto",
    "etcd/lease.proto",
    "etcd/membership.proto",
    "etcd/raft_internal.proto",
    "etcd/rpc.proto",
    "etcd/v3election.proto",
    "etcd/v3lock.proto",
];

/// Our own messages, which refer to the requests of the published API.
const INTERNAL: [&str; 1] = ["internal/command.proto"];

/// Fields whose message is handed on as bytes in the `wire` view: (message, field).
/// A key-value is encoded once, when it is applied, and put into answers without being decoded again.
const EMBEDDED: [(&str, &str); 4] = [
    ("RangeResponse", "kvs"),
    ("PutResponse", "prev_kv"),
    ("DeleteRangeResponse", "prev_kvs"),
    ("WatchResponse", "events"),
];

/// Fields that prost would spell `peer_ur_ls` and `client_ur_ls`. Names do not travel, so Rust gets better ones.
const RENAMED: [(&str, &str); 2] = [("peerURLs", "peer_urls"), ("clientURLs", "client_urls")];

fn main() -> Result<(), Box<dyn Error>> {
    let root = env::var("CARGO_MANIFEST_DIR")?;
    let out = env::var("OUT_DIR")?;
    let out = Path::new(&out);
    println!("cargo::rerun-if-changed=etcd");
    println!("cargo::rerun-if-changed=internal");

    let etcd = compile(&root, &ETCD)?;
    fs::write(out.join("etcd.fds"), published(&etcd).encode_to_vec())?;

    let api = out.join("api");
    fs::create_dir_all(&api)?;
    let mut fds = etcd;
    rename_fields(&mut fds);
    tonic_prost_build::configure().build_server(false).bytes(".").out_dir(&api).compile_fds(fds)?;

    let wire = out.join("wire");
    fs::create_dir_all(&wire)?;
    let mut fds = compile(&root, &[&ETCD[..], &INTERNAL[..]].concat())?;
    rename_fields(&mut fds);
    embed_bytes(&mut fds)?;
    tonic_prost_build::configure()
        .build_client(false)
        .codec_path("crate::codec::SmallCodec")
        .bytes(".")
        .out_dir(&wire)
        .compile_fds(fds)?;
    Ok(())
}

/// Parses and links the files, with their comments, which become the Rust documentation.
fn compile(root: &str, files: &[&str]) -> Result<FileDescriptorSet, protox::Error> {
    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(files)?;
    Ok(compiler.file_descriptor_set())
}

/// The set as it is published: everything but comments and positions.
fn published(fds: &FileDescriptorSet) -> FileDescriptorSet {
    let mut fds = fds.clone();
    for file in &mut fds.file {
        file.source_code_info = None;
    }
    fds
}

fn rename_fields(fds: &mut FileDescriptorSet) {
    for field in messages(fds).flat_map(|message| &mut message.field) {
        if let Some((_, to)) = RENAMED.iter().find(|(from, _)| field.name() == *from) {
            field.name = Some((*to).to_owned());
        }
    }
}

fn embed_bytes(fds: &mut FileDescriptorSet) -> Result<(), String> {
    for (message_name, field_name) in EMBEDDED {
        let field = messages(fds)
            .filter(|message| message.name() == message_name)
            .flat_map(|message| &mut message.field)
            .find(|field| field.name() == field_name && field.r#type() == Type::Message)
            .ok_or_else(|| format!("no message field {message_name}.{field_name} to hand on as bytes"))?;
        field.set_type(Type::Bytes);
        field.type_name = None;
        // A message knows whether it is there; bytes only when told so. An empty message must survive the way through.
        field.proto3_optional = (field.label() == Label::Optional).then_some(true);
    }
    Ok(())
}

/// Every message that is not nested. None of the fields changed above belongs to a nested one.
fn messages(fds: &mut FileDescriptorSet) -> impl Iterator<Item = &mut DescriptorProto> {
    fds.file.iter_mut().flat_map(|file| &mut file.message_type)
}
