"""The faults that are put into the code on purpose, and the test that has to see each of them.

A fault is a piece of the source and what stands there instead, not a switch in the program: what is
shipped has no way to be wrong on purpose. The piece must occur exactly once, so that a fault that
no longer fits is told at once (check_faults_test.py, in every `./dev test`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    name: str
    what: str  # it does to users
    file: str
    old: str
    new: str
    test: str  # target and filter, or a file in tests/program


SIMULATION = "simulation_test Simulation.*"
ORACLE = "core_test ArbiterOracle.*"

FAULTS = [
    Fault("no-sync", "a grant is told that a power cut takes back",
          "persistence/local_journal.cpp",
          "  if (options_.durability == Durability::always) {\n    if (auto synced",
          "  if (options_.durability == Durability::interval) {\n    if (auto synced",
          SIMULATION),
    Fault("failed-sync-ignored", "goes on after a sync that failed",
          "persistence/local_journal.cpp",
          "    if (auto synced = file_->sync(); !synced) return fault(synced.error());\n  }\n"
          "  offset_ += frame_.size();",
          "    static_cast<void>(file_->sync());\n  }\n  offset_ += frame_.size();",
          SIMULATION),
    Fault("reply-before-sync", "answers while the disk is still at work",
          "server/group_commit.cpp",
          "  append_under_way(count);\n  lock.lock();",
          "  durable_index_.store(reached, std::memory_order_release);\n"
          "  append_under_way(count);\n  lock.lock();",
          SIMULATION),
    Fault("no-directory-sync", "a power cut loses the name of a segment",
          "persistence/segment_preparer.cpp",
          "  return files.sync_directory(directory);\n",
          "  return {};\n",
          SIMULATION),
    Fault("torn-tail-kept", "reads a frame whose checksum is wrong",
          "persistence/segment_format.cpp",
          "  if (header.checksum != checksum_of(header, records, salt)) return std::nullopt;\n", "",
          SIMULATION),
    Fault("damage-cut-off", "takes damage in the middle for a torn end: acknowledged locks vanish",
          "persistence/segment_scan.cpp",
          "  return facts.later_frame_relies_on_it ? Tail::damaged : Tail::torn;",
          "  return facts.later_frame_relies_on_it ? Tail::torn : Tail::torn;",
          "persistence_test *"),
    Fault("no-seal", "a lost last segment is not missed",
          "persistence/local_journal.cpp",
          "  if (auto written = file_->write_at(seal_offset, seal); !written) return written.error();\n",
          "",
          "persistence_test *"),
    Fault("no-reserve", "on a full disk locks cannot be released either",
          "persistence/local_journal.cpp",
          "  return segment_bytes / (is_full ? 4 : 8);",
          "  return is_full ? segment_bytes - segment_bytes : 0;",
          "persistence_test *"),
    Fault("snapshot-keeps-ended", "a lock that was released comes back",
          "persistence/compaction.cpp",
          "      if (has(ended, opening.id)) return std::nullopt;\n", "",
          SIMULATION),
    Fault("snapshot-forgets-cooling", "a lock-delay ends with a snapshot",
          "persistence/compaction.cpp",
          "        opening.is_cooling = opening.is_cooling || has(cooling, opening.id);\n", "",
          "v1_test.py"),
    Fault("ancestor-not-checked", "a lock is granted inside a locked folder",
          "core/lock_table.cpp",
          "    if (at_node(above, symmetric && request.shape.lock_parents)) return;",
          "    if (above == level && at_node(above, symmetric && request.shape.lock_parents)) return;",
          SIMULATION),
    Fault("below-not-checked", "a folder is granted above a lock",
          "core/lock_table.cpp",
          "  visit(std::span{lists.data(), count}, level);",
          "  visit(std::span{lists.data(), std::size_t{0}}, level);",
          SIMULATION),
    Fault("shared-is-exclusive-blind", "a shared lock is granted beside an exclusive one",
          "core/lock_table.cpp",
          "bool clash(Mode a, Mode b) { return a == Mode::exclusive || b == Mode::exclusive; }",
          "bool clash(Mode a, Mode b) { return a == Mode::exclusive && b == Mode::exclusive; }",
          SIMULATION),
    Fault("expires-early", "a lease ends while its holder counts on it",
          "core/arbiter_ending.cpp",
          "  const Instant deadline = now_.instant + std::chrono::milliseconds{lease.ttl.count()};",
          "  const Instant deadline = now_.instant + std::chrono::milliseconds{lease.ttl.count()} / 2;",
          SIMULATION),
    Fault("no-ttl-after-restart", "the locks of the dead are held for ever after a restart",
          "core/arbiter_ending.cpp",
          "    if (lease.ttl.count() != 0 && table_.timer_of(lease.handle) == 0) "
          "restart_timer(lease.token);",
          "    static_cast<void>(lease);",
          SIMULATION),
    Fault("renewal-forgotten", "a renewal is answered and does nothing",
          "core/arbiter_ending.cpp",
          "    change_ttl(*lease, *ttl);\n  }\n  restart_timer(token);\n",
          "    change_ttl(*lease, *ttl);\n  }\n",
          SIMULATION),
    Fault("fence-falls", "a fence falls when the clock goes back",
          "core/arbiter_acquiring.cpp",
          "  last_fence_ = std::max(last_fence_ + 1, now_.wall);",
          "  last_fence_ = now_.wall;",
          SIMULATION),
    Fault("retry-locks-again", "a repeated request gets another answer",
          "core/arbiter_acquiring.cpp",
          "    if (auto answer = answer_held(command, *lease, request)) return answer;\n", "",
          SIMULATION),
    Fault("overtaking", "who comes later is served first",
          "core/arbiter_acquiring.cpp",
          "  if (queue_.is_empty() || request.is_upgrade) return nullptr;",
          "  if (queue_.is_empty() || request.any == 0) return nullptr;",
          SIMULATION),
    Fault("granted-after-leaving", "somebody gets the lock who waits no more",
          "core/arbiter_waiting.cpp",
          "  stop_waiting(*at->second);\n  return true;", "  return true;",
          ORACLE),
    Fault("lost-wake-up", "a lock is free and its waiter sleeps on",
          "core/arbiter_ending.cpp",
          "  if (lease) ended_.remember_lock(token, path, {reason, fence, detail}, now_.instant);\n"
          "  if (watching) recheck_later(std::move(watching));",
          "  if (lease) ended_.remember_lock(token, path, {reason, fence, detail}, now_.instant);",
          ORACLE),
    Fault("deadlock-unseen", "two wait for each other until their time is over",
          "core/arbiter_acquiring.cpp",
          "  acquired.cycle = DeadlockSearch{*this}.find(*request);\n", "",
          ORACLE),
    Fault("no-lock-delay", "a lock with a lock-delay is given on at once",
          "core/arbiter_ending.cpp",
          "      lease && delay.count() != 0 && (reason == End::expired || reason == End::forced);",
          "      lease && delay.count() > 99'999'999 && "
          "(reason == End::expired || reason == End::forced);",
          ORACLE),
    Fault("pause-counts", "leases end because the server stood still",
          "server/lock_service.cpp",
          "  if (gap > look_every + std::chrono::seconds{1}) stood_still_ += gap - look_every;\n",
          "  static_cast<void>(gap);\n",
          "v1_test.py"),
    Fault("lost-grant-kept", "a grant that nobody could be told of is held",
          "server/acquire_call.cpp",
          "  void lost() override { service_.take_back(token_); }",
          "  void lost() override {}",
          "v1_test.py"),
    Fault("smuggling", "a body in chunks is read as the next request",
          "server/request_parser.cpp",
          "      case http::field::transfer_encoding:\n        return refuse(transfer_encoding, error);",
          "      case http::field::transfer_encoding:\n        break;",
          "http_test *"),
]
