//! What the objects hold: bytes of the size, structure and compressibility of real ones.
//!
//! A value is the four bytes `k8s\0` and a `runtime.Unknown` with the object's protobuf. Field numbers are Kubernetes'
//! own, so the objects decode; most of what a real object repeats from its peers (field names in `managedFields`) is
//! repeated here, and what is random there (uids, addresses, credentials) is random here.
//!
//! Sizes were measured on a real kube-apiserver for leases, events, nodes and deployments. For pods the middle of an
//! estimate (3 kB) is taken; for kinds without a measurement, 1 kB.

use bytes::Bytes;

use crate::{
    kubernetes::{
        cluster::{Cluster, Kind, TRANSIENT_PODS},
        encode::Message,
    },
    random::Random,
};

/// 2026-01-01T00:00:00Z. Objects know no other clock.
const EPOCH_SECONDS: u64 = 1_767_225_600;

/// Size of a kind's value in bytes, and by how many percent sizes vary around it. `None`: as it comes.
fn size(kind: Kind) -> Option<(u64, u64)> {
    match kind {
        Kind::Namespace | Kind::ServiceAccount => None,
        Kind::Node => Some((9200, 5)),
        Kind::NodeLease => Some((635, 1)),
        Kind::Event => Some((682, 10)),
        Kind::Pod => Some((3000, 30)),
        Kind::Deployment | Kind::ReplicaSet => Some((1150, 13)),
        Kind::ConfigMap | Kind::Secret | Kind::Service | Kind::EndpointSlice => Some((1000, 50)),
    }
}

/// The stored value of an object. Each generation is another version of it.
pub(crate) fn value(cluster: &Cluster, kind: Kind, index: u64, generation: u64) -> Bytes {
    let object = Object { cluster, kind, index, generation };
    let bare = object.encode(0);
    let mut random = object.random(2);
    let Some((middle, percent)) = size(kind) else { return bare.into() };
    let spread = middle * percent / 100;
    let target = usize::try_from(middle - spread + random.below(2 * spread + 1)).expect("a few kilobytes");
    let room = target.saturating_sub(bare.len() + MANAGED_FIELDS_FRAME_BYTES);
    if room < MANAGED_FIELDS_MIN_BYTES {
        return bare.into();
    }
    // What stands around the field names depends on the object, so the first try says by how much to correct.
    let first = object.encode(room);
    let corrected = (room + target).saturating_sub(first.len());
    if corrected == room { first.into() } else { object.encode(corrected.max(MANAGED_FIELDS_MIN_BYTES)).into() }
}

/// About what an entry of `managedFields` takes besides its field names.
const MANAGED_FIELDS_FRAME_BYTES: usize = 66;

/// Shorter ones would not be JSON.
const MANAGED_FIELDS_MIN_BYTES: usize = 16;

/// Field names that nearly every object's `managedFields` repeats.
const MANAGED_FIELDS: [&str; 16] = [
    "f:metadata",
    "f:labels",
    "f:annotations",
    "f:ownerReferences",
    "f:spec",
    "f:containers",
    "f:image",
    "f:imagePullPolicy",
    "f:name",
    "f:resources",
    "f:terminationMessagePath",
    "f:terminationMessagePolicy",
    "f:securityContext",
    "f:status",
    "f:conditions",
    "f:lastTransitionTime",
];

struct Object<'a> {
    cluster: &'a Cluster,
    kind: Kind,
    index: u64,
    generation: u64,
}

impl Object<'_> {
    fn encode(&self, managed_bytes: usize) -> Vec<u8> {
        let (version, kind) = self.type_meta();
        let body = self.body(&self.metadata(managed_bytes));
        let unknown = Message::new()
            .message(1, &Message::new().bytes(1, version).bytes(2, kind))
            .bytes(2, body.into_bytes())
            .bytes(3, "")
            .bytes(4, "");
        let mut value = b"k8s\0".to_vec();
        value.extend(unknown.into_bytes());
        value
    }

    fn type_meta(&self) -> (&'static str, &'static str) {
        match self.kind {
            Kind::Namespace => ("v1", "Namespace"),
            Kind::Node => ("v1", "Node"),
            Kind::NodeLease => ("coordination.k8s.io/v1", "Lease"),
            Kind::ServiceAccount => ("v1", "ServiceAccount"),
            Kind::ConfigMap => ("v1", "ConfigMap"),
            Kind::Secret => ("v1", "Secret"),
            Kind::Service => ("v1", "Service"),
            Kind::EndpointSlice => ("discovery.k8s.io/v1", "EndpointSlice"),
            Kind::Deployment => ("apps/v1", "Deployment"),
            Kind::ReplicaSet => ("apps/v1", "ReplicaSet"),
            Kind::Pod => ("v1", "Pod"),
            Kind::Event => ("v1", "Event"),
        }
    }

    /// Random numbers of this object: the same in every generation.
    fn random(&self, purpose: u64) -> Random {
        Random::for_parts(&[self.cluster.seed, purpose, self.kind as u64, self.index])
    }

    fn name(&self) -> String {
        self.cluster.name(self.kind, self.index)
    }

    fn created(&self) -> u64 {
        EPOCH_SECONDS + self.index % 86_400
    }

    /// When this generation was written.
    fn changed(&self) -> u64 {
        EPOCH_SECONDS + 86_400 + 10 * (self.generation % (1 << 30))
    }

    fn metadata(&self, managed_bytes: usize) -> Message {
        let mut meta = Message::new().bytes(1, self.name());
        if let Some(namespace) = self.cluster.namespace_of(self.kind, self.index) {
            meta = meta.bytes(3, namespace);
        }
        meta = meta.bytes(5, uid(&mut self.random(4))).number(7, self.generation + 1).time(8, self.created());
        if matches!(self.kind, Kind::Pod | Kind::ReplicaSet | Kind::Deployment | Kind::Service | Kind::EndpointSlice) {
            meta = meta.pairs(11, &[("app", "load"), ("group", "load"), ("svc", &self.index.to_string())]);
        }
        if managed_bytes > 0 {
            let entry = Message::new()
                .bytes(1, "kube-controller-manager")
                .bytes(2, "Update")
                .bytes(3, self.type_meta().0)
                .time(4, self.changed())
                .bytes(6, "FieldsV1")
                .message(7, &Message::new().bytes(1, field_names(managed_bytes)));
            meta = meta.message(17, &entry);
        }
        meta
    }

    fn body(&self, meta: &Message) -> Message {
        let message = Message::new().message(1, meta);
        let mut random = self.random(5);
        match self.kind {
            Kind::Namespace => message
                .message(2, &Message::new().bytes(1, "kubernetes"))
                .message(3, &Message::new().bytes(1, "Active")),
            Kind::ServiceAccount => message,
            Kind::Node => message.message(3, &self.node_status(&mut random)),
            Kind::NodeLease => {
                let renewed = Message::new().number(1, self.changed()).number(2, self.generation % 1000 * 1_000_000);
                let spec = Message::new().bytes(1, self.name()).number(2, 40).message(4, &renewed);
                message.message(2, &spec)
            }
            Kind::ConfigMap => message.pairs(
                2,
                &[("config.yaml", "logging:\n  level: info\nserver:\n  port: 8080\n"), ("id", &uid(&mut random))],
            ),
            Kind::Secret => {
                let mut secret = [0; 256];
                random.fill(&mut secret);
                message.pairs(2, &[("token", secret)]).bytes(3, "Opaque")
            }
            Kind::Service => {
                let port = Message::new().bytes(2, "TCP").number(3, 80).message(4, &Message::new().number(2, 80));
                let spec = Message::new().message(1, &port).pairs(2, &[("svc", &self.index.to_string())]);
                message.message(2, &spec.bytes(3, address(&mut random)).bytes(4, "ClusterIP"))
            }
            Kind::EndpointSlice => (0..4).fold(message, |message, _| {
                let endpoint = Message::new()
                    .bytes(1, address(&mut random))
                    .message(2, &Message::new().number(1, 1))
                    .bytes(6, self.cluster.name(Kind::Node, random.below(self.cluster.nodes.max(1))));
                message.message(2, &endpoint)
            }),
            Kind::Deployment | Kind::ReplicaSet => {
                let selector = Message::new().pairs(1, &[("svc", &self.index.to_string())]);
                let spec = Message::new().number(1, 5).message(2, &selector).message(3, &self.pod_spec(None));
                message.message(2, &spec).message(3, &Message::new().number(1, self.generation + 1).number(2, 5))
            }
            Kind::Pod => self.pod(message, &mut random),
            Kind::Event => self.event(message),
        }
    }

    /// Conditions, addresses and the images that make a node large.
    fn node_status(&self, random: &mut Random) -> Message {
        let mut status = Message::new().bytes(3, "");
        for condition in ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"] {
            let text = if condition == "Ready" { "True" } else { "False" };
            status = status.message(
                4,
                &Message::new().bytes(1, condition).bytes(2, text).time(3, self.changed()).time(4, self.created()),
            );
        }
        status = status.message(5, &Message::new().bytes(1, "InternalIP").bytes(2, address(random)));
        (0..50).fold(status, |status, image| {
            let name = format!("registry.example/team-{}/image-{image}@sha256:{}", image % 7, hex(random, 32));
            status.message(8, &Message::new().bytes(1, name).number(2, random.below(1 << 30)))
        })
    }

    fn pod_spec(&self, node: Option<&str>) -> Message {
        let mut container = Message::new().bytes(1, "main").bytes(2, "registry.example/team/load:v1.4.2");
        for (name, value) in [("ENV_VAR", "a"), ("POD_ROLE", "load"), ("LOG_LEVEL", "info")] {
            container = container.message(7, &Message::new().bytes(1, name).bytes(2, value));
        }
        let container = container.bytes(13, "/dev/termination-log").bytes(14, "IfNotPresent");
        let spec = Message::new()
            .message(1, &Message::new().bytes(1, "kube-api-access"))
            .message(2, &container)
            .bytes(3, "Always")
            .number(4, 30)
            .bytes(6, "ClusterFirst")
            .bytes(8, "default");
        match node {
            Some(node) => spec.bytes(10, node).bytes(19, "default-scheduler"),
            None => spec.bytes(19, "default-scheduler"),
        }
    }

    /// A loaded pod runs. One that comes and goes is created, then bound, then runs.
    fn pod(&self, message: Message, random: &mut Random) -> Message {
        let steps = if self.index < TRANSIENT_PODS { 2 } else { self.generation };
        let node = self.cluster.name(Kind::Node, random.below(self.cluster.nodes.max(1)));
        let mut status = Message::new().bytes(1, if steps >= 2 { "Running" } else { "Pending" });
        for condition in ["PodScheduled", "Initialized", "ContainersReady", "Ready"] {
            if steps >= 2 {
                let value = Message::new().bytes(1, condition).bytes(2, "True").time(4, self.changed());
                status = status.message(2, &value);
            }
        }
        if steps >= 2 {
            let running = Message::new()
                .bytes(1, "main")
                .number(4, 1)
                .bytes(6, "registry.example/team/load:v1.4.2")
                .bytes(7, format!("registry.example/team/load@sha256:{}", hex(random, 32)))
                .bytes(8, format!("containerd://{}", hex(random, 32)));
            status = status.bytes(5, address(random)).bytes(6, address(random)).time(7, self.created());
            status = status.message(8, &running);
        }
        let spec = self.pod_spec((steps >= 1).then_some(node.as_str()));
        message.message(2, &spec).message(3, &status)
    }

    fn event(&self, message: Message) -> Message {
        let pod = self.cluster.owner(Kind::Event, self.index);
        let name = self.cluster.name(Kind::Pod, pod);
        let namespace = self.cluster.namespace_of(Kind::Pod, pod).unwrap_or_default();
        let subject = Message::new().bytes(1, "Pod").bytes(2, &namespace).bytes(3, &name).bytes(5, "v1");
        let (reason, text) = match self.index % 4 {
            0 => ("Scheduled", format!("Successfully assigned {namespace}/{name}")),
            1 => ("Pulled", "Container image already present on machine".to_owned()),
            2 => ("Created", "Created container main".to_owned()),
            _ => ("Started", "Started container main".to_owned()),
        };
        message
            .message(2, &subject)
            .bytes(3, reason)
            .bytes(4, text)
            .message(5, &Message::new().bytes(1, "kubelet"))
            .time(6, self.created())
            .time(7, self.changed())
            .number(8, 1)
            .bytes(9, "Normal")
    }
}

fn uid(random: &mut Random) -> String {
    let text = hex(random, 16);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

fn hex(random: &mut Random, bytes: usize) -> String {
    let mut digits = vec![0; bytes];
    random.fill(&mut digits);
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn address(random: &mut Random) -> String {
    format!("10.{}.{}.{}", random.below(256), random.below(256), random.below(256))
}

/// JSON of exactly `bytes` bytes (at least 16), made of field names as they repeat in real objects.
fn field_names(bytes: usize) -> String {
    const LAST_MIN: usize = 12;
    let mut text = String::from("{");
    for name in MANAGED_FIELDS.iter().cycle() {
        let entry = format!("\"{name}\":{{}},");
        if text.len() + entry.len() + LAST_MIN > bytes {
            break;
        }
        text.push_str(&entry);
    }
    let padding = bytes.saturating_sub(text.len() + r#""f:":{}}"#.len());
    text.push_str(&format!("\"f:{}\":{{}}}}", "x".repeat(padding)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: Cluster = Cluster { seed: 7, nodes: 1000, events_per_node: 20 };

    #[test]
    fn the_same_object_has_the_same_bytes_and_another_seed_other_ones() {
        let other = Cluster { seed: 8, ..CLUSTER };
        for kind in Kind::ALL {
            let bytes = value(&CLUSTER, kind, 3, 1);
            assert_eq!(bytes, value(&CLUSTER, kind, 3, 1));
            assert_ne!(bytes, value(&CLUSTER, kind, 3, 2), "{kind:?} has another generation");
            assert_ne!(bytes, value(&CLUSTER, kind, 4, 1), "{kind:?} has another index");
            assert_ne!(bytes, value(&other, kind, 3, 1), "{kind:?} has another seed");
        }
    }

    #[test]
    fn sizes_are_those_that_were_measured() {
        for kind in Kind::ALL {
            let sizes: Vec<f64> = (0..300).map(|index| value(&CLUSTER, kind, index, 0).len() as f64).collect();
            let mean = sizes.iter().sum::<f64>() / sizes.len() as f64;
            let (expected, tolerance) = match size(kind) {
                Some((middle, _)) => (middle as f64, 0.03),
                None => (150.0, 0.35),
            };
            assert!((mean / expected - 1.0).abs() < tolerance, "{kind:?}: {mean:.0} instead of {expected:.0}");
        }
    }

    #[test]
    fn a_value_is_the_envelope_that_kube_apiserver_writes() {
        let bytes = value(&CLUSTER, Kind::NodeLease, 0, 0);
        let head = b"k8s\0\x0a\x1f\x0a\x16coordination.k8s.io/v1\x12\x05Lease\x12";
        assert_eq!(&bytes[..head.len()], head);
    }

    #[test]
    fn padding_is_json_of_the_length_asked_for() {
        for bytes in 16..400 {
            let text = field_names(bytes);
            assert_eq!(text.len(), bytes);
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_pod_that_comes_and_goes_is_bound_before_it_runs() {
        let has = |generation, text: &str| {
            let bytes = value(&CLUSTER, Kind::Pod, TRANSIENT_PODS, generation);
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        };
        assert!(has(0, "Pending") && !has(0, "compute.internal"));
        assert!(has(1, "Pending") && has(1, "compute.internal"));
        assert!(has(2, "Running") && has(2, "compute.internal"));
    }
}
