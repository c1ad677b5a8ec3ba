//! Transactions: what is indented below `txn`.
//!
//! ```text
//! txn
//!   if version a = 0
//!   if value b to=c > x        a range: must hold for every key of it
//!   if mod a = create:3        an operand of another kind than the target; `unset` for none
//!   then
//!     put a=1
//!     txn
//!       then
//!         del b
//!   else
//!     get a
//! ```

use super::requests;
use super::script::Node;
use super::words::{Words, Wrong, bytes, number};
use crate::pb::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::pb::request_op::Request;
use crate::pb::{Compare, RequestOp, TxnRequest};

pub(super) fn txn(node: &Node) -> Result<TxnRequest, Wrong> {
    let mut txn = TxnRequest::default();
    for part in expanded(&node.children)? {
        let mut words = Words::new(&part.text);
        match words.next("a part")? {
            "if" => txn.compare.push(compare(&mut words)?),
            "then" => txn.success = operations(&part.children)?,
            "else" => txn.failure = operations(&part.children)?,
            other => return Err(format!("line {}: {other} is no part of a transaction", part.line)),
        }
        words.end()?;
    }
    Ok(txn)
}

fn operations(nodes: &[Node]) -> Result<Vec<RequestOp>, Wrong> {
    expanded(nodes)?.iter().map(operation).collect()
}

fn operation(node: &Node) -> Result<RequestOp, Wrong> {
    let mut words = Words::new(&node.text);
    let request = match words.next("an operation")? {
        "put" => Some(Request::RequestPut(requests::put(&mut words)?)),
        "get" => Some(Request::RequestRange(requests::range(&mut words)?)),
        "del" => Some(Request::RequestDeleteRange(requests::delete(&mut words)?)),
        "txn" => Some(Request::RequestTxn(txn(node)?)),
        "nest" => Some(Request::RequestTxn(nested(number(words.next("the depth")?)?))),
        "nothing" => None,
        other => return Err(format!("line {}: {other} is no operation", node.line)),
    };
    words.end()?;
    Ok(RequestOp { request })
}

/// Transactions inside each other, the innermost one empty.
fn nested(depth: i64) -> TxnRequest {
    (1..depth).fold(TxnRequest::default(), |inner, _| {
        let operation = RequestOp { request: Some(Request::RequestTxn(inner)) };
        TxnRequest { success: vec![operation], ..TxnRequest::default() }
    })
}

fn compare(words: &mut Words<'_>) -> Result<Compare, Wrong> {
    let target = words.next("the target")?;
    let (key, range_end) = requests::key_range(words)?;
    let result = match words.next("the operator")? {
        "=" => CompareResult::Equal.into(),
        ">" => CompareResult::Greater.into(),
        "<" => CompareResult::Less.into(),
        "!=" => CompareResult::NotEqual.into(),
        other => requests::enum_number(other)?,
    };
    let operand = words.next("the operand")?;
    let (kind, operand) = operand.split_once(':').unwrap_or((target, operand));
    let target_union = match kind {
        _ if operand == "unset" => None,
        "version" => Some(TargetUnion::Version(number(operand)?)),
        "create" => Some(TargetUnion::CreateRevision(number(operand)?)),
        "mod" => Some(TargetUnion::ModRevision(number(operand)?)),
        "lease" => Some(TargetUnion::Lease(number(operand)?)),
        "value" => Some(TargetUnion::Value(bytes(operand)?)),
        other => return Err(format!("{other} is no kind of operand")),
    };
    let target = match target {
        "version" => CompareTarget::Version.into(),
        "create" => CompareTarget::Create.into(),
        "mod" => CompareTarget::Mod.into(),
        "value" => CompareTarget::Value.into(),
        "lease" => CompareTarget::Lease.into(),
        other => requests::enum_number(other)?,
    };
    Ok(Compare { result, target, key, range_end, target_union })
}

/// `repeat N …` as N lines.
fn expanded(nodes: &[Node]) -> Result<Vec<Node>, Wrong> {
    let mut all = Vec::new();
    for node in nodes {
        match repeated(&node.text)? {
            None => all.push(node.clone()),
            Some(texts) => {
                all.extend(texts.map(|text| Node { line: node.line, text, children: node.children.clone() }));
            }
        }
    }
    Ok(all)
}

/// The commands of `repeat N COMMAND`; `{n}` in it is 000, 001 and so on.
pub(super) fn repeated(text: &str) -> Result<Option<impl Iterator<Item = String>>, Wrong> {
    let Some(rest) = text.strip_prefix("repeat ") else {
        return Ok(None);
    };
    let (count, command) = rest.split_once(' ').ok_or("repeat what?")?;
    let command = command.to_owned();
    Ok(Some((0..number(count)?).map(move |at| command.replace("{n}", &format!("{at:03}")))))
}
