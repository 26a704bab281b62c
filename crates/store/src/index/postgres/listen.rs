//! Commits of other programs, heard as they happen (`LISTEN`). Who hears nothing asks now and then all the same.

use std::future::poll_fn;
use std::sync::Weak;
use std::time::Duration;

use tokio_postgres::{AsyncMessage, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failing::said;
use super::later::CHANNEL;
use crate::index::commits::Commits;

/// Between two tries to reach a database that is away.
const PAUSE: Duration = Duration::from_secs(1);

/// Counts what others commit, on a connection of its own, as long as somebody counts.
pub(super) async fn listen(config: Config, tls: MakeRustlsConnect, commits: Weak<Commits>) {
    while commits.strong_count() > 0 {
        if let Err(error) = hear(&config, tls.clone(), &commits).await {
            tracing::debug!(error = %said(&error), "commits of other programs are not heard");
        }
        // What was committed meanwhile was not heard.
        commits.upgrade().iter().for_each(|commits| commits.add());
        tokio::time::sleep(PAUSE).await;
    }
}

async fn hear(config: &Config, tls: MakeRustlsConnect, commits: &Weak<Commits>) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = config.connect(tls).await?;
    let told = commits.clone();
    let heard = tokio::spawn(async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            let Some(commits) = told.upgrade() else { break };
            if let AsyncMessage::Notification(_) = message? {
                commits.add();
            }
        }
        Ok::<(), tokio_postgres::Error>(())
    });
    client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
    heard.await.unwrap_or(Ok(()))
}
