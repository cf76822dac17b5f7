#include "server/metrics.hpp"

#include <chrono>
#include <string_view>

#include "server/calls/call_kind.hpp"
#include "server/prometheus/process_metrics.hpp"
#include "server/version.hpp"

namespace locker::server {
namespace {

using Type = PrometheusText::Type;

constexpr double nanoseconds_of_second = 1e9;

template <typename Duration>
double seconds(Duration duration) {
  return std::chrono::duration<double>{duration}.count();
}

std::string_view name_of(core::Outcome outcome) {
  using core::Outcome;
  switch (outcome) {
    case Outcome::granted:
      return "granted";
    case Outcome::held_already:
      return "held_already";
    case Outcome::blocked:
      return "blocked";
    case Outcome::queued:
      return "queued";
    case Outcome::deadlock:
      return "deadlock";
    case Outcome::token_in_use:
      return "token_in_use";
    case Outcome::lease_ended:
      return "lease_ended";
    case Outcome::too_many_locks:
      return "too_many_locks";
    case Outcome::too_many_leases:
      return "too_many_leases";
    case Outcome::too_many_waiters:
      return "too_many_waiters";
    case Outcome::too_many_waiters_of_lease:
      return "too_many_waiters_of_lease";
    case Outcome::too_many_locks_of_lease:
      return "too_many_locks_of_lease";
    case Outcome::too_much_memory:
      return "too_much_memory";
    case Outcome::busy:
      return "busy";
    case Outcome::disk_full:
      return "disk_full";
    case Outcome::superseded:
      break;
  }
  return "superseded";
}

}  // namespace

void Metrics::write(std::string& out) const {
  PrometheusText text{out};
  text.begin_family("locker_build_info", Type::gauge, "Always 1; the version is the label.");
  text.add(std::uint64_t{1}, {{"version", version}});
  write_locks(text);
  write_commits(text);
  write_store(text);
  write_http(text);
  if (access_ != nullptr) write_access(text);
  write_process_metrics(text);
}

void Metrics::write_locks(PrometheusText& text) const {
  const LockService::Measured measured = service_.measure();
  const LockService::Status& status = measured.status;
  const LockService::Counts& counts = measured.counts;
  text.add_one("locker_locks_held", Type::gauge, "Locks that are held or cooling.",
               std::uint64_t{status.locks});
  text.add_one("locker_leases", Type::gauge, "Live leases.", std::uint64_t{status.leases});
  text.add_one("locker_waiters", Type::gauge, "Requests that wait for locks.",
               std::uint64_t{status.waiters});
  text.add_one("locker_oldest_waiter_age_seconds", Type::gauge,
               "How long the longest-waiting request has waited; 0 if none waits.",
               seconds(measured.oldest_waiter));
  text.add_one("locker_oldest_lock_age_seconds", Type::gauge,
               "How long the longest-held lock has been held; 0 if none is held.",
               seconds(measured.oldest_lock));
  text.add_one("locker_memory_bytes", Type::gauge,
               "Memory for locks, leases, waiting requests and the memory of ended ones, as "
               "--memory-max counts it.",
               std::uint64_t{measured.memory_bytes});
  if (const std::size_t most = service_.options().limits.memory_max;
      most != core::Arbiter::Limits{}.memory_max) {
    text.add_one("locker_memory_max_bytes", Type::gauge,
                 "The limit of locker_memory_bytes: --memory-max.", std::uint64_t{most});
  }
  text.add_one("locker_accepts_grants", Type::gauge,
               "1: new locks can be acquired. 0: the disk is full.",
               std::uint64_t{status.accepts_grants ? 1U : 0U});
  text.begin_family("locker_acquires_total", Type::counter,
                    "Requests for locks, by outcome, whether immediate or after queueing.");
  for (std::size_t at = 0; at < counts.outcomes.size(); ++at) {
    const auto outcome = static_cast<core::Outcome>(at);
    if (outcome == core::Outcome::queued) continue;
    text.add(counts.outcomes[at], {{"outcome", name_of(outcome)}});
  }
  text.add_one("locker_waits_total", Type::counter, "Requests that were queued.",
               counts.outcomes[static_cast<std::size_t>(core::Outcome::queued)]);
  text.add_one("locker_waits_abandoned_total", Type::counter,
               "Queued requests whose client went away before they were decided.",
               counts.abandoned);
  text.add_one("locker_locks_granted_total", Type::counter,
               "Locks granted; one request may get several.", counts.granted);
  text.begin_family("locker_locks_ended_total", Type::counter,
                    "Locks that ended, and leases that were opened without one, by reason. A lock "
                    "with a lock delay counts when it ends and again when its cooling ends.");
  for (std::size_t at = 0; at < counts.ended.size(); ++at) {
    text.add(counts.ended[at], {{"reason", name_of(static_cast<core::End>(at))}});
  }
  text.add_one("locker_leases_opened_total", Type::counter,
               "Leases that were opened without a lock.", counts.leases_opened);
  text.add_one("locker_event_readers", Type::gauge, "Clients that follow /v1/events.",
               std::uint64_t{service_.events().readers()});
  text.add_one("locker_open_batch_records", Type::gauge,
               "Records in the batch that is being collected while another one is written.",
               std::uint64_t{measured.open_records});
  text.add_one("locker_pending_bytes", Type::gauge,
               "Bytes of records that are not in the journal yet.",
               std::uint64_t{measured.pending_bytes});
  text.add_one("locker_journal_index", Type::gauge,
               "Index of the last record: how many decisions the store has seen.", status.index);
}

void Metrics::write_commits(PrometheusText& text) const {
  const GroupCommit::Measured& measured = commit_.measured();
  DurationHistogram::Counts durations;
  measured.durations.add_to(durations);
  text.begin_family("locker_journal_sync_duration_seconds", Type::histogram,
                    "Time to write one batch to the journal and sync it.");
  text.add(durations, duration_bounds, nanoseconds_of_second);
  text.add_one(
      "locker_journal_write_age_seconds", Type::gauge,
      "How long the write or sync in progress has waited for the disk; 0: none is in progress.",
      seconds(write_age()));
  SizeHistogram::Counts records;
  measured.records.add_to(records);
  text.begin_family("locker_journal_batch_records", Type::histogram,
                    "Records in one batch, which is written and synced as one.");
  text.add(records, size_bounds, 1);
  text.add_one("locker_journal_records_total", Type::counter, "Records written to the journal.",
               records.sum);
  text.add_one("locker_journal_bytes_total", Type::counter,
               "Bytes of records written to the journal.", measured.bytes.value());
}

void Metrics::write_store(PrometheusText& text) const {
  const persistence::LocalJournal::Status status = journal_.status();
  text.add_one("locker_journal_segments", Type::gauge, "Segment files of the journal.",
               status.segments);
  text.add_one("locker_journal_segment_bytes", Type::gauge,
               "Bytes that the segment files occupy, filled or not.", status.segment_bytes);
  text.add_one("locker_snapshots", Type::gauge, "Snapshot files.", status.snapshots);
  text.add_one("locker_snapshot_bytes", Type::gauge, "Bytes of the newest snapshot, 0 without one.",
               status.snapshot_bytes);
  text.add_one("locker_snapshots_made_total", Type::counter, "Snapshots made.",
               status.snapshots_made);
  text.add_one("locker_snapshots_failed_total", Type::counter,
               "Snapshots that could not be made; the log says why.", status.snapshots_failed);
  text.add_one("locker_makes_snapshots", Type::gauge,
               "1: a snapshot is made when it is due. 0: the last one could not be made.",
               std::uint64_t{status.makes_snapshots ? 1U : 0U});
  text.add_one("locker_snapshot_duration_seconds", Type::gauge,
               "Time that the last snapshot took, in the background.",
               seconds(status.snapshot_took));
  text.add_one("locker_snapshot_last_success_timestamp_seconds", Type::gauge,
               "When the last snapshot was made, in seconds since 1970; 0: none since the start.",
               seconds(status.snapshot_made_at.time_since_epoch()));
  text.add_one("locker_store_free_bytes", Type::gauge, "Free space of the disk with the store.",
               status.free_bytes);
}

void Metrics::write_http(PrometheusText& text) const {
  const HttpMetrics::Totals totals = http_.totals();
  text.begin_family("locker_http_requests_total", Type::counter,
                    "Requests answered, by kind of call and class of status.");
  constexpr std::string_view classes[status_classes] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
  for (std::size_t call = 0; call < call_count; ++call) {
    for (std::size_t status = 1; status < status_classes; ++status) {
      text.add(totals.answers[call][status],
               {{"call", server::name_of(static_cast<CallKind>(call))}, {"code", classes[status]}});
    }
  }
  text.begin_family(
      "locker_http_request_duration_seconds", Type::histogram,
      "Time from a request's last byte to its answer's, including the sync of the disk; for those "
      "that waited for a lock, including the wait (call=\"waited\").");
  for (std::size_t call = 0; call < call_count; ++call) {
    text.add(totals.durations[call], duration_bounds, nanoseconds_of_second,
             {{"call", server::name_of(static_cast<CallKind>(call))}});
  }
  text.add_one("locker_http_connections", Type::gauge, "Open connections.", totals.connections);
  text.add_one("locker_http_connections_accepted_total", Type::counter, "Connections accepted.",
               totals.accepted);
  text.add_one("locker_http_connections_made_way_total", Type::counter,
               "Idle connections closed to make room for others, because there were too many.",
               totals.made_way);
  text.add_one("locker_http_connections_turned_away_total", Type::counter,
               "Connections that got 503, or were closed, because there were too many.",
               totals.turned_away);
  text.add_one("locker_http_buffered_bytes", Type::gauge,
               "Bytes of unfinished requests and unread answers.", totals.buffered_bytes);
  if (!totals.certificate_expires_at) return;
  text.add_one("locker_tls_failed_total", Type::counter,
               "Connections that failed with a TLS error.", totals.tls_failed);
  const auto expires_at = std::chrono::duration_cast<std::chrono::seconds>(
      totals.certificate_expires_at->time_since_epoch());
  text.add_one("locker_tls_certificate_expiry_timestamp_seconds", Type::gauge,
               "When the certificate in use expires.",
               static_cast<std::uint64_t>(expires_at.count()));
  text.add_one("locker_tls_is_current", Type::gauge,
               "1: the last load of certificate, key and clients' CA succeeded. 0: the last reload "
               "failed, and the previous ones are still in use.",
               std::uint64_t{totals.tls_is_current ? 1U : 0U});
}

void Metrics::write_access(PrometheusText& text) const {
  text.begin_family("locker_access_refused_total", Type::counter,
                    "Requests that were refused: 401 without a valid key, 403 by a key's rules, by "
                    "another lease's token, or from a browser for another site's page.");
  text.add(access_->refused_401.load(), {{"code", "401"}});
  text.add(access_->refused_403.load(), {{"code", "403"}});
  if (const std::uint64_t read_at = access_->keys_read_at; read_at != 0) {
    text.add_one("locker_keys", Type::gauge, "Valid keys.", access_->keys.load());
    text.add_one("locker_keys_read_timestamp_seconds", Type::gauge,
                 "When the keys were last read without an error.", read_at);
    text.add_one(
        "locker_key_reloads_failed_total", Type::counter,
        "Reloads that failed because of a mistake in the key file; the previous keys stay valid.",
        access_->key_reloads_failed.load());
    text.add_one("locker_keys_are_current", Type::gauge,
                 "1: the last load of the key file succeeded. 0: the last reload failed, and "
                 "revoked keys are still valid.",
                 std::uint64_t{access_->keys_are_current ? 1U : 0U});
  }
  if (access_->audit_lines_lost) {
    text.add_one("locker_audit_lines_lost_total", Type::counter,
                 "Lines that were never written to the audit log.", access_->audit_lines_lost());
  }
}

}  // namespace locker::server
