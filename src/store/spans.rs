//! Where revisions lie close together: what is read by several threads is divided by rows and not by numbers, between which
//! a restore leaves a gap of a thousand million millions.

use rusqlite::{Connection, OptionalExtension as _};

/// A first and a last revision.
pub type Span = (u64, u64);

/// A gap of fewer revisions is not worth looking for.
const GAP: u64 = 1 << 20;
/// Spans that are looked for; each restore leaves one more.
const MOST_SPANS: usize = 64;

/// The spans between the large gaps of `whole`, ascending; together they hold every row of it.
pub fn dense(connection: &Connection, whole: Span) -> Result<Vec<Span>, rusqlite::Error> {
    let mut done = Vec::new();
    let mut left = vec![whole];
    while let Some((low, high)) = left.pop() {
        if high - low < GAP || done.len() + left.len() >= MOST_SPANS {
            done.push((low, high));
            continue;
        }
        let middle = low + (high - low) / 2;
        let below =
            nearest(connection, "SELECT MAX(revision) FROM versions WHERE revision BETWEEN ?1 AND ?2", (low, middle))?;
        let above = nearest(
            connection,
            "SELECT MIN(revision) FROM versions WHERE revision BETWEEN ?1 AND ?2",
            (middle + 1, high),
        )?;
        // The lower one is looked at first, so that what is done stays in order.
        left.extend(above.map(|above| (above, high)));
        left.extend(below.map(|below| (low, below)));
    }
    Ok(done)
}

fn nearest(connection: &Connection, statement: &str, (low, high): Span) -> Result<Option<u64>, rusqlite::Error> {
    let found: Option<Option<i64>> = connection
        .prepare_cached(statement)?
        .query_row([low.cast_signed(), high.cast_signed()], |row| row.get(0))
        .optional()?;
    Ok(found.flatten().map(i64::cast_unsigned))
}

/// Divides spans into at most about `parts` stretches that hold the same number of revisions, each at least `least` where there
/// are so many. A stretch may reach over a gap, in which nothing is.
pub fn divided(spans: &[Span], parts: u64, least: u64) -> Vec<Span> {
    let total: u64 = spans.iter().map(|(low, high)| high - low + 1).sum();
    let length = total.div_ceil(parts.max(1)).max(least).max(1);
    let mut stretches = Vec::new();
    let (mut begun, mut left) = (None, length);
    for (low, high) in spans {
        let mut low = *low;
        while low <= *high {
            let from = *begun.get_or_insert(low);
            let until = (*high).min(low.saturating_add(left - 1));
            left -= until - low + 1;
            if left == 0 {
                stretches.push((from, until));
                (begun, left) = (None, length);
            }
            low = until + 1;
        }
    }
    stretches.extend(begun.zip(spans.last().map(|(_, high)| *high)));
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(revisions: impl Iterator<Item = u64>) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE versions (revision INTEGER PRIMARY KEY)").unwrap();
        for revision in revisions {
            connection.execute("INSERT INTO versions VALUES (?1)", [revision.cast_signed()]).unwrap();
        }
        connection
    }

    #[test]
    fn gaps_are_left_out_and_no_row_is() {
        let restored = 1_790_000_000_000_000;
        let all = |parts: &[(u64, u64)]| -> Vec<u64> { parts.iter().flat_map(|(low, high)| *low..=*high).collect() };
        for parts in [
            vec![(1, 100)],
            vec![(1, 100), (restored, restored + 50)],
            vec![(7, 7), (restored, restored), (2 * restored, 2 * restored + 3)],
        ] {
            let whole = (parts[0].0, parts[parts.len() - 1].1);
            let spans = dense(&table(all(&parts).into_iter()), whole).unwrap();
            assert_eq!(spans, parts);
            for threads in [1, 2, 5] {
                let divided = divided(&spans, threads, 16);
                assert!(divided.len() as u64 <= threads, "{divided:?}");
                assert!(divided.is_sorted_by(|one, other| one.1 < other.0), "{divided:?}");
                let holders = |row| divided.iter().filter(|(low, high)| (*low..=*high).contains(&row)).count();
                assert!(all(&parts).into_iter().all(|row| holders(row) == 1), "{divided:?}");
            }
        }
    }

    #[test]
    fn what_is_long_is_divided_evenly_and_what_is_short_is_not() {
        assert_eq!(divided(&[(1, 100)], 2, 10), [(1, 50), (51, 100)]);
        assert_eq!(divided(&[(1, 100)], 2, 1000), [(1, 100)]);
        assert_eq!(divided(&[(0, 0)], 4, 10), [(0, 0)]);
        assert_eq!(divided(&[(1, 60), (1001, 1040)], 2, 10), [(1, 50), (51, 1040)]);
        assert_eq!(divided(&[], 4, 10), []);
    }
}
