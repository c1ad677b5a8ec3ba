//! stub
use clap::Args;
#[derive(Args)]
pub(crate) struct Kubernetes {}
impl Kubernetes {
    pub(crate) fn run(&self) -> Result<(), crate::error::Trouble> {
        Ok(())
    }
}
