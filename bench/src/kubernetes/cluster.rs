//! Which objects a cluster has, and under which keys.
//!
//! Rule: everything follows from seed, number of nodes and an object's kind, index and generation. Nothing else is
//! remembered, so two programs that agree on these agree on every byte.
//!
//! The shape is that of Kubernetes' own load test: 30 pods per node, one namespace per 100 nodes, a quarter of the
//! pods in deployments of 250, a quarter in deployments of 30, half in deployments of 5, and a service for every second
//! deployment. Config maps and secrets, one per two deployments each, are this file's assumption.

use crate::random::Random;

/// Pods per node.
pub(crate) const PODS_PER_NODE: u64 = 30;
const NODES_PER_NAMESPACE: u64 = 100;

/// Pods repeat in blocks of 1,000, which hold 1 deployment of 250, 9 of 30 (the last has 10) and 100 of 5.
const BLOCK_PODS: u64 = 1000;
const BLOCK_DEPLOYMENTS: u64 = 110;

/// Pods from this index on come and go while a cluster runs.
pub(crate) const TRANSIENT_PODS: u64 = 1 << 32;

/// Events from this index on are written while a cluster runs.
pub(crate) const LATER_EVENTS: u64 = 1 << 32;

/// Letters that Kubernetes makes names of.
const NAME_LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Namespace,
    Node,
    NodeLease,
    ServiceAccount,
    ConfigMap,
    Secret,
    Service,
    EndpointSlice,
    Deployment,
    ReplicaSet,
    Pod,
    Event,
}

impl Kind {
    /// Every kind, in the order in which a cluster comes to life.
    pub(crate) const ALL: [Self; 12] = [
        Self::Namespace,
        Self::Node,
        Self::NodeLease,
        Self::ServiceAccount,
        Self::ConfigMap,
        Self::Secret,
        Self::Service,
        Self::EndpointSlice,
        Self::Deployment,
        Self::ReplicaSet,
        Self::Pod,
        Self::Event,
    ];

    /// What its keys begin with.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Namespace => "/registry/namespaces/",
            Self::Node => "/registry/minions/",
            Self::NodeLease => "/registry/leases/",
            Self::ServiceAccount => "/registry/serviceaccounts/",
            Self::ConfigMap => "/registry/configmaps/",
            Self::Secret => "/registry/secrets/",
            Self::Service => "/registry/services/specs/",
            Self::EndpointSlice => "/registry/endpointslices/",
            Self::Deployment => "/registry/deployments/",
            Self::ReplicaSet => "/registry/replicasets/",
            Self::Pod => "/registry/pods/",
            Self::Event => "/registry/events/",
        }
    }
}

/// A cluster that could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) seed: u64,
    pub(crate) nodes: u64,
    pub(crate) events_per_node: u64,
}

impl Cluster {
    /// How many objects of a kind are loaded.
    pub(crate) fn count(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Node | Kind::NodeLease => self.nodes,
            Kind::Namespace | Kind::ServiceAccount => self.nodes.div_ceil(NODES_PER_NAMESPACE).max(1),
            Kind::Pod => self.nodes * PODS_PER_NODE,
            Kind::Deployment | Kind::ReplicaSet => match self.count(Kind::Pod) {
                0 => 0,
                pods => deployment_of(pods - 1) + 1,
            },
            Kind::Service | Kind::EndpointSlice | Kind::ConfigMap | Kind::Secret => self.count(Kind::Deployment) / 2,
            Kind::Event => self.nodes * self.events_per_node,
        }
    }

    /// How many objects are loaded.
    pub(crate) fn total(&self) -> u64 {
        Kind::ALL.iter().map(|kind| self.count(*kind)).sum()
    }

    /// Object `number` of [`Cluster::total`], in loading order.
    pub(crate) fn object(&self, mut number: u64) -> Option<(Kind, u64)> {
        for kind in Kind::ALL {
            let count = self.count(kind);
            if number < count {
                return Some((kind, number));
            }
            number -= count;
        }
        None
    }

    /// The object's name.
    pub(crate) fn name(&self, kind: Kind, index: u64) -> String {
        match kind {
            Kind::Namespace => self.namespace(index),
            Kind::Node | Kind::NodeLease => node_name(index),
            Kind::ServiceAccount => "default".to_owned(),
            Kind::ConfigMap => format!("{}-config", deployment_name(index * 2)),
            Kind::Secret => format!("{}-credentials", deployment_name(index * 2)),
            Kind::Service => deployment_name(index * 2),
            Kind::EndpointSlice => format!("{}-{}", deployment_name(index * 2), self.suffix(kind, index, 5)),
            Kind::Deployment => deployment_name(index),
            Kind::ReplicaSet => format!("{}-{}", deployment_name(index), self.suffix(kind, index, 10)),
            Kind::Pod => {
                let replica_set = self.name(Kind::ReplicaSet, self.owner(kind, index));
                // The suffix is the index itself, so that no two pods share a name.
                format!("{replica_set}-{}", letters(index % TRANSIENT_PODS, if index < TRANSIENT_PODS { 5 } else { 6 }))
            }
            Kind::Event => {
                let pod = self.name(Kind::Pod, self.owner(kind, index));
                format!("{pod}.{:016x}", Random::for_parts(&[self.seed, 1, index]).next())
            }
        }
    }

    /// The namespace it is in, if its kind has any.
    pub(crate) fn namespace_of(&self, kind: Kind, index: u64) -> Option<String> {
        let namespaces = self.count(Kind::Namespace);
        let deployment = match kind {
            Kind::Namespace | Kind::Node => return None,
            Kind::NodeLease => return Some("kube-node-lease".to_owned()),
            Kind::ServiceAccount => index,
            Kind::ConfigMap | Kind::Secret | Kind::Service | Kind::EndpointSlice => index * 2,
            Kind::Deployment | Kind::ReplicaSet => index,
            Kind::Pod => self.owner(kind, index),
            Kind::Event => self.owner(Kind::Pod, self.owner(kind, index)),
        };
        Some(self.namespace(deployment % namespaces))
    }

    /// Index of the deployment of a pod, or of the pod that an event is about.
    pub(crate) fn owner(&self, kind: Kind, index: u64) -> u64 {
        match kind {
            Kind::Pod if index >= TRANSIENT_PODS => (index - TRANSIENT_PODS) % self.count(Kind::Deployment).max(1),
            Kind::Pod => deployment_of(index),
            Kind::Event => index % self.count(Kind::Pod).max(1),
            _ => index,
        }
    }

    /// The key under which kube-apiserver keeps it.
    pub(crate) fn key(&self, kind: Kind, index: u64) -> String {
        let name = self.name(kind, index);
        match self.namespace_of(kind, index) {
            Some(namespace) => format!("{}{namespace}/{name}", kind.prefix()),
            None => format!("{}{name}", kind.prefix()),
        }
    }

    fn namespace(&self, index: u64) -> String {
        format!("test-{}-{}", letters(Random::for_parts(&[self.seed, 2]).next(), 6), index + 1)
    }

    fn suffix(&self, kind: Kind, index: u64, letters_max: usize) -> String {
        letters(Random::for_parts(&[self.seed, 3, kind as u64, index]).next(), letters_max)
    }
}

fn deployment_of(pod: u64) -> u64 {
    let within = match pod % BLOCK_PODS {
        0..250 => 0,
        pod @ 250..500 => 1 + (pod - 250) / 30,
        pod => 10 + (pod - 500) / 5,
    };
    pod / BLOCK_PODS * BLOCK_DEPLOYMENTS + within
}

fn deployment_name(index: u64) -> String {
    let size = match index % BLOCK_DEPLOYMENTS {
        0 => "big",
        1..10 => "medium",
        _ => "small",
    };
    format!("{size}-deployment-{index}")
}

fn node_name(index: u64) -> String {
    format!("ip-10-{}-{}-{}.eu-west-1.compute.internal", index >> 16 & 255, index >> 8 & 255, index & 255)
}

/// A number in Kubernetes' letters, the lowest `count` digits.
fn letters(mut number: u64, count: usize) -> String {
    let base = NAME_LETTERS.len() as u64;
    let mut text = vec![0; count];
    for letter in text.iter_mut().rev() {
        *letter = NAME_LETTERS[usize::try_from(number % base).expect("below 27")];
        number /= base;
    }
    text.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const CLUSTER: Cluster = Cluster { seed: 7, nodes: 100, events_per_node: 20 };

    #[test]
    fn a_thousand_nodes_have_the_objects_of_the_load_test() {
        let cluster = Cluster { nodes: 1000, ..CLUSTER };
        let counts: Vec<u64> = Kind::ALL.iter().map(|kind| cluster.count(*kind)).collect();
        assert_eq!(counts, [10, 1000, 1000, 10, 1650, 1650, 1650, 1650, 3300, 3300, 30_000, 20_000]);
        assert_eq!(cluster.total(), counts.iter().sum::<u64>());
    }

    #[test]
    fn every_object_has_a_key_of_its_own_under_its_kinds_prefix() {
        let mut keys = HashSet::new();
        for number in 0..CLUSTER.total() {
            let (kind, index) = CLUSTER.object(number).expect("below the total");
            let key = CLUSTER.key(kind, index);
            assert!(key.starts_with(kind.prefix()) && key.len() <= 110, "{key}");
            assert!(keys.insert(key));
        }
        assert_eq!(CLUSTER.object(CLUSTER.total()), None);
        for index in 0..1000 {
            assert!(keys.insert(CLUSTER.key(Kind::Pod, TRANSIENT_PODS + index)));
            assert!(keys.insert(CLUSTER.key(Kind::Event, LATER_EVENTS + index)));
        }
    }

    #[test]
    fn keys_look_as_kube_apiserver_writes_them() {
        assert_eq!(CLUSTER.key(Kind::Node, 258), "/registry/minions/ip-10-0-1-2.eu-west-1.compute.internal");
        assert_eq!(
            CLUSTER.key(Kind::NodeLease, 1),
            "/registry/leases/kube-node-lease/ip-10-0-0-1.eu-west-1.compute.internal"
        );
        let pod = CLUSTER.key(Kind::Pod, 999);
        let namespace = CLUSTER.namespace_of(Kind::Pod, 999).expect("pods have one");
        assert!(pod.starts_with(&format!("/registry/pods/{namespace}/small-deployment-109-")), "{pod}");
    }

    #[test]
    fn deployments_have_the_sizes_of_the_load_test() {
        let mut sizes = vec![0; 110];
        for pod in 0..1000 {
            sizes[usize::try_from(deployment_of(pod)).expect("small")] += 1;
        }
        assert_eq!((sizes[0], sizes[1], sizes[9], sizes[10], sizes[109]), (250, 30, 10, 5, 5));
    }
}
