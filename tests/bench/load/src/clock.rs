// SPDX-License-Identifier: Apache-2.0
//! Nanosecond clocks: the monotonic clock measures, the wall clock stamps.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

fn nanos(time: Timespec) -> u64 {
    time.tv_sec as u64 * SECOND + time.tv_nsec as u64
}

/// Monotonic time in nanoseconds.
pub fn now() -> u64 {
    nanos(clock_gettime(ClockId::Monotonic))
}

/// CPU time consumed by all threads of this process, in nanoseconds.
pub fn own_cpu() -> u64 {
    nanos(clock_gettime(ClockId::ProcessCPUTime))
}

/// What to add to a monotonic time to get nanoseconds since the epoch.
///
/// Taken once per run, so that stamps never jump while it lasts.
pub fn wall_offset() -> u64 {
    nanos(clock_gettime(ClockId::Realtime)) - now()
}

/// Seconds as the nanoseconds used everywhere else.
pub fn seconds(value: f64) -> u64 {
    (value * SECOND as f64) as u64
}

/// Nanoseconds as seconds, for reports.
pub fn as_seconds(nanos: u64) -> f64 {
    nanos as f64 / SECOND as f64
}

/// Milliseconds between the start of the (UTC) month and `epoch_ms`.
pub fn millis_into_month(epoch_ms: u64) -> u32 {
    const DAY: u64 = 86_400_000;
    // Day of month by the civil-from-days algorithm (Hinnant).
    let z = epoch_ms / DAY + 719_468;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let day_of_month = day_of_year - (153 * ((5 * day_of_year + 2) / 153) + 2) / 5;
    (day_of_month * DAY + epoch_ms % DAY) as u32
}

#[cfg(test)]
mod tests {
    use super::millis_into_month;

    #[test]
    fn month_starts_at_zero() {
        assert_eq!(millis_into_month(1_709_251_200_000), 0); // 2024-03-01
        assert_eq!(millis_into_month(1_709_251_199_999), 29 * 86_400_000 - 1);
        assert_eq!(millis_into_month(1_735_689_600_123), 123); // 2025-01-01
    }
}
