//! What was purged leaves the memory of the server too, whatever program purged it.

use crate::state::App;
use std::sync::Arc;
use std::time::Duration;

/// How often is looked.
const LOOK: Duration = Duration::from_secs(5);

/// Looks until it is ended.
pub async fn purged(app: Arc<App>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let app = app.clone();
        let looked = tokio::task::spawn_blocking(move || match app.archive.forget_purged() {
            // Of what is made, nobody knows any more of what it was made.
            Ok(true) => {
                app.made.clear();
                app.known.clear();
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "whether something was purged is not known"),
        });
        let _ = looked.await;
    }
}
