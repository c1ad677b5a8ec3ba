//! The way to the other members.
//!
//! Rule: what cannot be asked is not granted. openraft's default answer to a pre-vote that nobody implements is "granted";
//! here every call says that the peer cannot be reached, so that a member without peers never counts their votes.
//!
//! Left out: the transport itself. A cluster of one calls nothing here.

use std::future::Future;

use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::type_config::alias::SnapshotOf;
use openraft::{AnyError, RaftNetworkFactory, RaftNetworkV2};

use super::state_machine::SnapshotData;
use super::types::{Peer, Types, Vote};

/// Makes connections that are always down.
pub(super) struct NoPeers;

/// A connection that is always down.
pub(super) struct NoPeer;

fn unreachable() -> Unreachable<Types> {
    Unreachable::new(&AnyError::error("this build has no peer transport"))
}

impl RaftNetworkFactory<Types> for NoPeers {
    type Network = NoPeer;

    async fn new_client(&mut self, _target: u64, _peer: &Peer) -> NoPeer {
        NoPeer
    }
}

impl RaftNetworkV2<Types> for NoPeer {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        _request: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        Err(unreachable().into())
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Err(unreachable().into())
    }

    async fn pre_vote(
        &mut self,
        _request: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Err(unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: SnapshotOf<Types, SnapshotData>,
        _cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(unreachable().into())
    }

    async fn transfer_leader(
        &mut self,
        _request: TransferLeaderRequest<Types>,
        _option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        Err(unreachable().into())
    }
}
