//! One clock and one source of randomness for many processes.
//!
//! The test writes into a file which request is being answered and what time it is; the processes read it whenever they
//! ask for the time or for random bytes. Each request has random bytes of its own, so that it does not matter which
//! process answered the requests before, nor how much randomness that took.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchyard_ambient::{Ambient, Clock, Randomness, SeededRandomness, Timestamp};
use switchyard_harness::app::START;

/// Which request is being answered, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The request's number; 0 before the first.
    pub(crate) request: u64,
    pub(crate) time: Timestamp,
}

impl Moment {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("the test keeps the file");
        let (request, micros) = text.split_once(' ').expect("the file holds two numbers");
        let number = "the file holds numbers";
        Self {
            request: request.parse().expect(number),
            time: Timestamp::from_micros(micros.parse().expect(number)),
        }
    }
}

/// How much time passes from one request to the next, unless the trace says otherwise.
pub(crate) const PACE: Duration = Duration::from_secs(2);

/// Tells the processes.
#[derive(Debug)]
pub(crate) struct Steering {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    moment: Moment,
    pace: Duration,
}

impl Steering {
    /// Keeps the file in this folder.
    pub(crate) fn new(folder: &Path) -> Self {
        let moment = Moment { request: 0, time: START };
        let state = Mutex::new(State { moment, pace: PACE });
        let steering = Self { path: folder.join("moment"), state };
        steering.write(moment);
        steering
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, time: Duration) {
        let mut state = self.state();
        state.moment.time = state.moment.time + time;
    }

    /// Sets the time that passes between two requests from now on.
    pub(crate) fn set_pace(&self, pace: Duration) {
        self.state().pace = pace;
    }

    /// Begins the next request.
    pub(crate) fn next(&self) -> Moment {
        let mut state = self.state();
        let State { moment, pace } = *state;
        state.moment = Moment { request: moment.request + 1, time: moment.time + pace };
        self.write(state.moment);
        state.moment
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that is moved into place is never read half written.
    fn write(&self, moment: Moment) {
        let draft = self.path.with_extension("draft");
        fs::write(&draft, format!("{} {}", moment.request, moment.time.as_micros())).unwrap();
        fs::rename(&draft, &self.path).unwrap();
    }
}

/// The clock and the randomness that the file at `path` steers.
pub(crate) fn ambient(path: &Path) -> Ambient {
    let stream = Mutex::new((0, SeededRandomness::new(0)));
    let randomness = SteeredRandomness { path: path.to_owned(), stream };
    Ambient::new(SteeredClock(path.to_owned()), randomness)
}

#[derive(Debug)]
struct SteeredClock(PathBuf);

impl Clock for SteeredClock {
    fn now(&self) -> Timestamp {
        Moment::read(&self.0).time
    }
}

/// Random bytes. The sequence starts again with each request.
#[derive(Debug)]
struct SteeredRandomness {
    path: PathBuf,
    /// The request, and what is left of its bytes.
    stream: Mutex<(u64, SeededRandomness)>,
}

impl Randomness for SteeredRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        let Moment { request, .. } = Moment::read(&self.path);
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if stream.0 != request {
            *stream = (request, SeededRandomness::new(request));
        }
        stream.1.fill(bytes);
    }
}
