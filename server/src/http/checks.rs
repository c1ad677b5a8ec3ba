//! `/livez` and `/readyz`: named checks, all together or one by one (contract §5.3).
//!
//! `/livez` asks whether restarting the process would help, so a missing leader does not fail it. `/readyz` asks
//! whether requests should be sent here.
//!
//! Rule: a failure always lists every check that ran; a success does so only when asked with `?verbose`.

use std::fmt::Write;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::routing::{Router, any};
use http::{Method, Response, StatusCode};

use super::reply;
use super::{Alarm, Endpoints, HealthSource};

/// One question about this member.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    NonLearner,
}

impl Check {
    fn name(self) -> &'static str {
        match self {
            Check::DataCorruption => "data_corruption",
            Check::SerializableRead => "serializable_read",
            Check::LinearizableRead => "linearizable_read",
            Check::NonLearner => "non_learner",
        }
    }

    async fn run(self, source: &dyn HealthSource) -> Result<(), String> {
        match self {
            Check::DataCorruption if source.alarms().contains(&Alarm::Corrupt) => {
                Err("alarm activated: CORRUPT".to_owned())
            }
            Check::NonLearner if source.is_learner() => Err("not supported for learner".to_owned()),
            Check::DataCorruption | Check::NonLearner => Ok(()),
            Check::SerializableRead => source.serializable_read().await,
            Check::LinearizableRead => source.linearizable_read().await,
        }
    }
}

/// A path and what it checks, in the order of its answer.
struct Probe {
    name: &'static str,
    checks: &'static [Check],
}

static PROBES: [Probe; 2] = [
    Probe { name: "livez", checks: &[Check::SerializableRead] },
    Probe {
        name: "readyz",
        checks: &[Check::DataCorruption, Check::SerializableRead, Check::LinearizableRead, Check::NonLearner],
    },
];

/// Both probes, and every check of each under its own path.
pub(super) fn routes() -> Router<Endpoints> {
    let mut router = Router::new();
    for probe in &PROBES {
        router = router.route(
            &format!("/{}", probe.name),
            any(move |method, state, query| answer(probe, None, method, state, query)),
        );
        for check in probe.checks {
            router = router.route(
                &format!("/{}/{}", probe.name, check.name()),
                any(move |method, state, query| answer(probe, Some(check), method, state, query)),
            );
        }
    }
    router
}

/// Runs one check, or all that the query does not exclude.
async fn answer(
    probe: &'static Probe,
    only: Option<&'static Check>,
    method: Method,
    State(endpoints): State<Endpoints>,
    Query(query): Query<Vec<(String, String)>>,
) -> Response<Body> {
    if let Some(refusal) = reply::refuse_unless_get(&method) {
        return refusal;
    }
    let excluded = |check: &Check| query.iter().any(|(key, value)| key == "exclude" && value == check.name());
    let checks: Vec<Check> = match only {
        Some(check) => vec![*check],
        None => probe.checks.iter().filter(|check| !excluded(check)).copied().collect(),
    };
    for (_, name) in query.iter().filter(|(key, _)| only.is_none() && key == "exclude") {
        if !probe.checks.iter().any(|check| check.name() == name) {
            tracing::warn!(probe = probe.name, check = name, "there is no such check to exclude");
        }
    }

    let (mut lines, mut failed) = (String::new(), false);
    for check in checks {
        let result = check.run(&*endpoints.health).await;
        endpoints.metrics.server.health_checked(probe.name, check.name(), result.is_ok());
        let written = match &result {
            Ok(()) => writeln!(lines, "[+]{} ok", check.name()),
            Err(reason) => writeln!(lines, "[-]{} failed: {reason}", check.name()),
        };
        written.expect("a string takes what it is given");
        failed |= result.is_err();
    }
    if failed {
        tracing::error!(probe = probe.name, checks = lines.trim_end(), "a health check failed");
        return reply::error(StatusCode::SERVICE_UNAVAILABLE, &lines);
    }
    let verbose = query.iter().any(|(key, _)| key == "verbose");
    reply::nosniff(reply::plain(if verbose { lines + "ok\n" } else { "ok\n".to_owned() }))
}
