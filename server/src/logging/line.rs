//! The text of a line.

use serde::Serialize;
use time::OffsetDateTime;
use time::macros::format_description;

use super::config::{LogFormat, LogLevel};
use super::fields::Fields;

/// An event's field of this name holds a JSON object as text, whose fields become the line's own.
///
/// Fields of `tracing` are fixed when the program is built and hold no lists; the configuration, logged once at start,
/// has lists.
pub const INLINE_FIELDS: &str = "fields.json";

/// What a line says besides its fields.
pub(super) struct Head {
    pub(super) level: LogLevel,
    pub(super) time: OffsetDateTime,
    pub(super) file: Option<&'static str>,
    pub(super) line: Option<u32>,
}

/// Writes one line, with its newline.
pub(super) fn write(format: LogFormat, head: &Head, fields: &Fields) -> Vec<u8> {
    match format {
        LogFormat::Json => json(head, fields),
        LogFormat::Console => console(head, fields),
    }
}

fn json(head: &Head, fields: &Fields) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"level\":");
    append(&mut out, head.level.as_str());
    out.extend_from_slice(b",\"ts\":");
    append(&mut out, &timestamp(head.time));
    if let Some(caller) = caller(head) {
        out.extend_from_slice(b",\"caller\":");
        append(&mut out, &caller);
    }
    out.extend_from_slice(b",\"msg\":");
    append(&mut out, &fields.message);
    for (name, value) in &fields.others {
        out.push(b',');
        append(&mut out, name);
        out.push(b':');
        append(&mut out, value);
    }
    out.extend_from_slice(b"}\n");
    out
}

fn console(head: &Head, fields: &Fields) -> Vec<u8> {
    let mut columns = vec![timestamp(head.time), head.level.as_str().to_owned()];
    columns.extend(caller(head));
    // A message of several lines would pass for several events.
    columns.push(fields.message.replace('\n', "\\n"));
    let mut out = columns.join("\t").into_bytes();
    if !fields.others.is_empty() {
        out.extend_from_slice(b"\t{");
        for (index, (name, value)) in fields.others.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"" } else { b", " });
            append(&mut out, name);
            out.extend_from_slice(b": ");
            append(&mut out, value);
        }
        out.push(b'}');
    }
    out.push(b'\n');
    out
}

fn append(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("texts and JSON values can always be written to memory");
}

/// `2026-11-22T18:00:00.123456Z`
fn timestamp(time: OffsetDateTime) -> String {
    time.to_offset(time::UtcOffset::UTC)
        .format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"))
        .expect("every date has these parts")
}

/// The file with its directory, and the line: `config/mod.rs:12`.
fn caller(head: &Head) -> Option<String> {
    let file = head.file?;
    let start = file.rmatch_indices(['/', '\\']).nth(1).map_or(0, |(at, _)| at + 1);
    Some(format!("{}:{}", &file[start..], head.line.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use time::macros::datetime;

    fn head() -> Head {
        Head {
            level: LogLevel::Warn,
            time: datetime!(2026-11-22 19:00:00.123456789 +1),
            file: Some("server/src/config/mod.rs"),
            line: Some(12),
        }
    }

    fn fields() -> Fields {
        Fields {
            message: "said \"so\"\n".to_owned(),
            others: vec![("zeta".to_owned(), json!(1)), ("alpha".to_owned(), json!(["a", "b"]))],
        }
    }

    #[test]
    fn a_json_line_has_zaps_keys_in_zaps_order_and_fields_as_written() {
        let line = String::from_utf8(write(LogFormat::Json, &head(), &fields())).expect("a line is text");
        assert_eq!(
            line,
            "{\"level\":\"warn\",\"ts\":\"2026-11-22T18:00:00.123456Z\",\"caller\":\"config/mod.rs:12\",\
             \"msg\":\"said \\\"so\\\"\\n\",\"zeta\":1,\"alpha\":[\"a\",\"b\"]}\n"
        );
    }

    #[test]
    fn a_console_line_is_tab_separated_and_stays_one_line() {
        let line = String::from_utf8(write(LogFormat::Console, &head(), &fields())).expect("a line is text");
        assert_eq!(
            line,
            "2026-11-22T18:00:00.123456Z\twarn\tconfig/mod.rs:12\tsaid \"so\"\\n\t{\"zeta\": 1, \"alpha\": [\"a\",\"b\"]}\n"
        );
    }

    #[test]
    fn the_caller_is_the_file_with_one_directory() {
        let caller = |file| caller(&Head { file: Some(file), ..head() });
        assert_eq!(caller("a/b/c.rs").as_deref(), Some("b/c.rs:12"));
        assert_eq!(caller("b/c.rs").as_deref(), Some("b/c.rs:12"));
        assert_eq!(caller("c.rs").as_deref(), Some("c.rs:12"));
    }
}
