//! Denials under a flood: the first of each source and second are written one by one, the others are counted.
//!
//! Pure: time is a parameter, nothing is written here. Memory is bounded: sources beyond a number share one count, and
//! so do counts that nobody takes. What it never loses is a denial: each is handed back at once, or counted in exactly
//! one event that is handed back later.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};

use super::event::{REPEATED, with_annotation};

/// Annotation of an event that stands for requests of more than one source.
const SOURCES: &str = "strongroom.dev/sources";

/// What is written one by one, and what is counted apart.
#[derive(Debug, Clone, Copy)]
pub struct FloodLimits {
    /// Denials of one source that are written in a second.
    pub per_source: u32,
    /// Denials of all sources that are written in a second.
    pub overall: u32,
    /// Sources that are counted apart.
    pub sources: usize,
    /// Events that may wait to be taken.
    pub waiting: usize,
}

impl Default for FloodLimits {
    fn default() -> Self {
        Self { per_source: 50, overall: 500, sources: 256, waiting: 1024 }
    }
}

/// Where requests come from: an address, of IPv6 its /64; `None` is the Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(Option<IpAddr>);

impl Source {
    /// The source of a peer's requests.
    pub fn of(peer: Option<IpAddr>) -> Self {
        Self(peer.map(|address| match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 @ IpAddr::V4(_) => v4,
        }))
    }
}

/// Denials of one source that were counted.
#[derive(Debug)]
pub struct Repeated {
    /// The first of them, which stands for all.
    event: Vec<u8>,
    count: u64,
    has_many_sources: bool,
}

impl Repeated {
    /// The event to write.
    pub fn to_event(&self) -> Vec<u8> {
        let event = with_annotation(self.event.clone(), REPEATED, &self.count.to_string());
        if self.has_many_sources { with_annotation(event, SOURCES, "several") } else { event }
    }
}

#[derive(Default)]
struct Counted {
    written: u32,
    repeated: Option<Repeated>,
}

/// See the module.
pub struct Flood {
    limits: FloodLimits,
    /// The second that is being counted, since the epoch.
    second: i64,
    written: u32,
    sources: HashMap<Source, Counted>,
    /// Of sources that are not counted apart.
    others: Option<Repeated>,
    waiting: VecDeque<Repeated>,
}

impl Flood {
    /// Nothing counted yet.
    pub fn new(limits: FloodLimits) -> Self {
        let (sources, waiting) = (HashMap::new(), VecDeque::new());
        Self { limits, second: 0, written: 0, sources, others: None, waiting }
    }

    /// Takes a denial. Gives the event back if it is to be written now; otherwise it is counted.
    pub fn admit(&mut self, source: Source, now_unix_millis: i64, event: Vec<u8>) -> Option<Vec<u8>> {
        self.turn_to(now_unix_millis);
        let is_full = self.sources.len() >= self.limits.sources;
        if is_full && !self.sources.contains_key(&source) {
            count(&mut self.others, event, true);
            return None;
        }
        let counted = self.sources.entry(source).or_default();
        if counted.written < self.limits.per_source && self.written < self.limits.overall {
            counted.written += 1;
            self.written += 1;
            return Some(event);
        }
        count(&mut counted.repeated, event, false);
        None
    }

    /// What was counted in a second that is over. To be written, or given back.
    pub fn take(&mut self, now_unix_millis: i64) -> Option<Repeated> {
        self.turn_to(now_unix_millis);
        self.waiting.pop_front()
    }

    /// As [`Flood::take`], of the present second too: for a stop.
    pub fn take_all(&mut self) -> Option<Repeated> {
        self.turn();
        self.waiting.pop_front()
    }

    /// Takes back what could not be written.
    pub fn put_back(&mut self, repeated: Repeated) {
        self.waiting.push_front(repeated);
        self.bound();
    }

    fn turn_to(&mut self, now_unix_millis: i64) {
        let second = now_unix_millis.div_euclid(1000);
        // A clock that was set back begins a new second too.
        if second != self.second {
            self.second = second;
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.written = 0;
        let counted = self.sources.drain().filter_map(|(_, counted)| counted.repeated);
        self.waiting.extend(counted.chain(self.others.take()));
        self.bound();
    }

    /// What waits beyond the bound becomes one.
    fn bound(&mut self) {
        while self.waiting.len() > self.limits.waiting.max(1) {
            let (Some(last), Some(before)) = (self.waiting.pop_back(), self.waiting.back_mut()) else { return };
            before.count = before.count.saturating_add(last.count);
            before.has_many_sources = true;
        }
    }
}

fn count(repeated: &mut Option<Repeated>, event: Vec<u8>, has_many_sources: bool) {
    match repeated {
        Some(repeated) => repeated.count = repeated.count.saturating_add(1),
        None => *repeated = Some(Repeated { event, count: 1, has_many_sources }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(number: u8) -> Source {
        Source::of(Some(IpAddr::from([10, 0, 0, number])))
    }

    fn event() -> Vec<u8> {
        br#"{"kind":"Event","annotations":{}}"#.to_vec()
    }

    fn annotation(repeated: &Repeated, name: &str) -> serde_json::Value {
        serde_json::from_slice::<serde_json::Value>(&repeated.to_event()).unwrap()["annotations"][name].clone()
    }

    #[test]
    fn the_first_fifty_of_a_source_and_second_are_written_and_the_others_become_one_event() {
        let mut flood = Flood::new(FloodLimits::default());
        let written = (0..60).filter(|_| flood.admit(source(1), 5_000, event()).is_some()).count();
        assert_eq!(written, 50);
        assert!(flood.admit(source(2), 5_999, event()).is_some());
        assert!(flood.take(5_999).is_none(), "the second is not over");
        let repeated = flood.take(6_000).unwrap();
        assert_eq!((repeated.count, annotation(&repeated, REPEATED)), (10, "10".into()));
        assert!(flood.take(6_000).is_none());
        assert!(flood.admit(source(1), 6_000, event()).is_some(), "the next second begins anew");
    }

    #[test]
    fn all_sources_together_are_bounded_too_and_so_is_the_number_of_sources() {
        let limits = FloodLimits { per_source: 2, overall: 3, sources: 2, waiting: 8 };
        let mut flood = Flood::new(limits);
        let admitted: Vec<bool> =
            [1, 1, 1, 2, 2, 3, 4].map(|number| flood.admit(source(number), 0, event()).is_some()).to_vec();
        assert_eq!(admitted, [true, true, false, true, false, false, false]);
        let mut counts = Vec::new();
        while let Some(repeated) = flood.take(1_000) {
            counts.push((repeated.count, annotation(&repeated, SOURCES) == "several"));
        }
        counts.sort_unstable();
        assert_eq!(counts, [(1, false), (1, false), (2, true)]);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let of = |text: &str| Source::of(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }

    proptest! {
        #[test]
        fn every_denial_is_accounted_for(
            denials in prop::collection::vec((0_u8..12, 0_i64..400, any::<bool>(), any::<bool>()), 0..400),
            (per_source, overall) in (1_u32..5, 1_u32..12),
            (sources, waiting) in (1_usize..6, 1_usize..6),
        ) {
            let mut flood = Flood::new(FloodLimits { per_source, overall, sources, waiting });
            let (mut now, mut accounted) = (0, 0);
            for (number, step, takes, fails) in &denials {
                now += step;
                accounted += u64::from(flood.admit(source(*number), now, event()).is_some());
                prop_assert!(flood.waiting.len() <= waiting && flood.sources.len() <= sources);
                if *takes && let Some(repeated) = flood.take(now) {
                    if *fails {
                        flood.put_back(repeated);
                    } else {
                        accounted += repeated.count;
                    }
                }
            }
            while let Some(repeated) = flood.take_all() {
                accounted += repeated.count;
            }
            prop_assert_eq!(accounted, denials.len() as u64);
        }
    }
}
