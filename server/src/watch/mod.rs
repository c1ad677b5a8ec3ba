//! TEMP shim until the watch branch lands.
#![allow(missing_docs)]
use crate::{metrics::Metrics, node::fatal::Fatal, store::Store};
use quorate_core::{machine::Change, mvcc::view::View};
use std::sync::Arc;
pub struct Published; impl Published { pub fn new(_: Arc<View>, _: Vec<Change>) -> Self { Self } }
#[derive(Clone)] pub struct RoundSender; impl RoundSender { pub fn publish(&self, _: Published) {} }
#[derive(Clone)] pub struct HubHandle; impl HubHandle { pub fn counts(&self) -> Counts { Counts::default() } }
#[derive(Default)] pub struct Counts { pub streams: u64, pub watchers: u64, pub slow_watchers: u64, pub pending_events: u64, pub lag_revisions: u64 }
pub struct Running; impl Running { pub fn rounds(&self) -> RoundSender { RoundSender } pub fn handle(&self) -> HubHandle { HubHandle } pub async fn stop(&mut self) {} }
pub fn start(_: Arc<Store>, _: Arc<Metrics>, _: Fatal) -> Running { Running }
