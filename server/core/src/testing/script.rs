//! The shape of a script: blocks of commands and answers, commands with what is indented below them.

use super::ScriptError;
use std::fmt;

/// A line with the deeper lines below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Line in the file, from 1.
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) children: Vec<Node>,
}

/// Commands and what they answer. The source of the commands, comments included, is kept as it was written.
pub(super) struct Block {
    source: Vec<String>,
    pub(super) commands: Vec<Node>,
    pub(super) answers: Vec<String>,
}

pub(super) struct Script {
    pub(super) blocks: Vec<Block>,
}

impl Script {
    pub(super) fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut blocks = Vec::new();
        let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line)).peekable();
        while lines.peek().is_some() {
            let mut source = Vec::new();
            let mut answers = Vec::new();
            let mut answered = false;
            for (at, line) in lines.by_ref() {
                match line {
                    "---" if !answered => answered = true,
                    "" if answered => break,
                    _ if answered => answers.push(line.to_owned()),
                    _ => source.push((at, line.to_owned())),
                }
            }
            while source.first().is_some_and(|(_, line)| line.is_empty()) {
                source.remove(0);
            }
            if source.is_empty() {
                continue;
            }
            let commands = tree(&source)?;
            let source = source.into_iter().map(|(_, line)| line).collect();
            blocks.push(Block { source, commands, answers });
        }
        Ok(Self { blocks })
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, block) in self.blocks.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            for line in &block.source {
                writeln!(f, "{line}")?;
            }
            if !block.commands.is_empty() {
                writeln!(f, "---")?;
            }
            for line in &block.answers {
                writeln!(f, "{line}")?;
            }
        }
        Ok(())
    }
}

/// Indentation to a tree; comments and empty lines are left out.
fn tree(source: &[(usize, String)]) -> Result<Vec<Node>, ScriptError> {
    let mut open: Vec<(usize, Node)> = Vec::new();
    let mut roots = Vec::new();
    let mut close = |open: &mut Vec<(usize, Node)>, depth: usize| {
        while open.last().is_some_and(|(indent, _)| *indent >= depth) {
            let Some((_, node)) = open.pop() else { break };
            match open.last_mut() {
                Some((_, parent)) => parent.children.push(node),
                None => roots.push(node),
            }
        }
    };
    for (line, text) in source {
        let trimmed = text.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let indent = text.len() - trimmed.len();
        close(&mut open, indent);
        if open.is_empty() && indent > 0 {
            return Err(ScriptError::at(*line, "an indented line belongs below a command"));
        }
        open.push((indent, Node { line: *line, text: trimmed.trim_end().to_owned(), children: Vec::new() }));
    }
    close(&mut open, 0);
    Ok(roots)
}
