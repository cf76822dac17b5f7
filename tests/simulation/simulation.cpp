#include "tests/simulation/simulation.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/path.hpp"
#include "persistence/store_backup.hpp"

namespace locker::simulation {
namespace {

using core::Instant;
using persistence::Durability;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr core::Fence wall_at_start = 1'700'000'000'000'000;
constexpr Instant faults_until{seconds{4}};
constexpr Instant clients_until{seconds{5}};
constexpr Instant ends_at{seconds{60}};

using Locks = std::vector<std::tuple<core::LockId, core::Token, std::string, int, bool, std::string,
                                     unsigned, unsigned, std::string>>;
using Leases = std::map<core::Token, std::tuple<std::string, unsigned, core::LockId>>;

Locks locks_of(const core::LockTable& table) {
  Locks locks;
  table.for_each_lock([&](const core::HeldLock& held) {
    const auto lease = table.lease_of(held);
    const core::Shape& shape = held.shape;
    locks.emplace_back(held.id, lease ? lease->token : core::Token{},
                       std::string{table.path_of(held).view().packed()},
                       (shape.mode == core::Mode::shared ? 1 : 0) + (shape.lock_parents ? 2 : 0) +
                           (shape.lock_children ? 4 : 0),
                       held.is_cooling, std::string{held.owner}, lease ? lease->ttl.count() : 0,
                       table.lock_delay_of(held).count(), std::string{table.meta_of(held)});
  });
  return locks;
}

/// Returns the leases of these tokens, including those without locks.
Leases leases_of(const core::LockTable& table, const std::set<core::Token>& tokens) {
  Leases leases;
  for (const core::Token& token : tokens) {
    const auto lease = table.find_lease_of(token);
    if (lease) leases[token] = {std::string{lease->owner}, lease->ttl.count(), lease->opened};
  }
  return leases;
}

/// The state after the first `count` of these records.
struct Replayed {
  core::LockTable table;
  std::set<core::Token> tokens;  // of all leases so far
};
[[nodiscard]] bool replay(const std::vector<std::string>& records, std::size_t count,
                          Replayed& replayed) {
  for (std::size_t at = 0; at < count; ++at) {
    core::RecordReader reader{records[at]};
    core::Record record;
    if (!reader.next(record) || !replayed.table.try_apply(record)) return false;
    replayed.tokens.insert(std::visit([](const auto& kind) { return kind.token; }, record));
  }
  return true;
}

/// Returns null, or what differs from the records.
const char* difference(const Replayed& expected, const core::LockTable& found) {
  if (locks_of(expected.table) != locks_of(found)) return "other locks than the records";
  const Leases leases = leases_of(expected.table, expected.tokens);
  const bool is_same =
      leases == leases_of(found, expected.tokens) && leases.size() == found.lease_count();
  return is_same ? nullptr : "other leases than the records";
}

}  // namespace

Simulation::Simulation(std::uint64_t seed) : random_(seed) {
  const auto one_of = [this](std::initializer_list<unsigned> choices) {
    return choices.begin()[random_() % choices.size()];
  };
  loss_ = one_of({0, 0, 2, 10, 30});
  death_ = one_of({0, 1, 10});
  waiting_ = one_of({0, 50, 100});
  several_ = one_of({0, 20, 60});
  commit_ = one_of({10, 50, 100});
  names_ = one_of({1, 2, 4});
  clients_.resize(one_of({2, 5, 10}));
  if (chance(25)) fills_ = one_of({1, 1, 4});
  if (chance(15)) {
    durability_ = chance(50) ? persistence::Durability::interval : persistence::Durability::none;
  }
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    clients_[i].number = i;
    sleep(clients_[i], milliseconds(200));
  }
  const unsigned faults = one_of({0, 2, 5});
  for (unsigned i = 0; i < faults; ++i) {
    schedule(std::chrono::milliseconds{random_() % 4'000}, {.kind = Event::Kind::fault});
  }
  schedule({}, {.kind = Event::Kind::tick});
}

void Simulation::fail(std::string what) {
  if (!failure_.empty()) return;
  failure_ = "at " + std::to_string(now_.time_since_epoch() / std::chrono::milliseconds{1}) +
             " ms: " + std::move(what);
}

void Simulation::note(std::uint64_t value) { trace_ = (trace_ ^ value) * 1099511628211U; }

void Simulation::schedule(core::Duration delay, Event event) {
  event.at = now_ + delay;
  event.order = ++last_number_;
  event.life = life_;
  events_.push(event);
}

core::Now Simulation::server_now() const {
  const auto wall = now_.time_since_epoch().count();
  return {Instant{now_ - server_started_},
          static_cast<core::Fence>(static_cast<std::int64_t>(wall_at_start) + wall + clock_error_)};
}

std::string Simulation::run() {
  start_server();
  while (failure_.empty() && !events_.empty() && events_.top().at <= ends_at) {
    const Event event = events_.top();
    events_.pop();
    now_ = event.at;
    winds_down_ = now_ > clients_until;
    note(static_cast<std::uint64_t>(now_.time_since_epoch().count()) ^ event.number ^
         static_cast<std::uint64_t>(event.kind) << 50U);
    step(event);
    check();
  }
  if (failure_.empty()) {
    const core::Arbiter& arbiter = server_->arbiter();
    if (arbiter.table().lock_count() != 0) fail("a lock is held for ever");
    if (arbiter.table().lease_count() != 0) fail("a lease lives for ever");
    if (arbiter.waiter_count() != 0) fail("somebody waits for ever");
  }
  for (const std::string& path : disk_.paths()) {
    if (path.ends_with(".snapshot")) ++counts_.snapshots;
  }
  server_.reset();
  return failure_;
}

void Simulation::step(const Event& event) {
  switch (event.kind) {
    case Event::Kind::reply: {
      const auto at = replies_.find(event.number);
      const Reply reply = std::move(at->second);
      replies_.erase(at);
      return on_reply(reply);
    }
    case Event::Kind::client:
      if (clients_[event.client].generation == event.number) wake(clients_[event.client]);
      return;
    case Event::Kind::space:
      return set_full_disk(false);
    default:
      break;
  }
  if (now_ < paused_until_) {
    Event later = event;
    later.at = paused_until_;
    return events_.push(later);
  }
  try {
    on_server(event);
  } catch (const SimulatedServer::Died&) {
    if (!disk_.is_off() && !disk_.has_failed()) fail("the server died of itself");
    crash(durability_ == Durability::always && (disk_.is_off() || chance(30)));
  }
}

void Simulation::on_server(const Event& event) {
  switch (event.kind) {
    case Event::Kind::request: {
      const auto at = requests_.find(event.number);
      const Request request = std::move(at->second);
      requests_.erase(at);
      if (event.life != life_) return;  // its connection is gone
      if (request.kind == Request::Kind::force) {
        promises_.on_force(server_->arbiter().table(), request.packed_path);
      }
      server_->handle(request, server_now());
      if (chance(commit_)) server_->commit();
      return;
    }
    case Event::Kind::disconnect:
      if (event.life == life_) server_->disconnect(event.number, server_now());
      return;
    case Event::Kind::tick:
      schedule(std::chrono::milliseconds{1 + random_() % (winds_down_ ? 200 : 20)},
               {.kind = Event::Kind::tick});
      server_->advance(server_now());
      for (unsigned i = 0; i < fills_ && !winds_down_ && chance(fills_ > 1 ? 95 : 50); ++i) {
        fill_journal(fills_ > 1 ? 1'000 : 8);
      }
      // Writes into the last bytes of the reserved space.
      for (int i = 0; i < 16 && has_full_disk_ && !winds_down_; ++i) fill_journal(1'000);
      server_->commit();
      if (chance(30)) server_->run_background();
      return;
    case Event::Kind::fault:
      return inject_fault();
    default:
      return;
  }
}

/// Large records for a client that never reads a reply: segments fill up, snapshots are made.
void Simulation::fill_journal(std::uint64_t names) {
  core::Path path;
  static_cast<void>(path.push_back("filling"));
  static_cast<void>(path.push_back(std::to_string(random_() % names)));
  Request request;
  request.kind = Request::Kind::acquire;
  request.number = ++last_number_;
  for (std::uint8_t& byte : request.token.bytes) byte = static_cast<std::uint8_t>(random_());
  request.acquire.token = request.acquire.fresh_token = request.token;
  request.acquire.wanted.push_back({std::string{path.view().packed()}, {}});
  request.acquire.ttl = core::Milliseconds{static_cast<std::uint32_t>(random_() % 500) + 1};
  request.acquire.meta = std::string(core::meta_bytes_max, 'm');
  server_->handle(request, server_now());
}

void Simulation::inject_fault() {
  const bool is_always = durability_ == Durability::always;
  switch (random_() % 7) {
    case 0:
      return crash(false);
    case 1:
      return crash(is_always);
    case 2:
      return disk_.cut_power_at(1 + random_() % 40);
    case 3:
      if (!is_always) return crash(false);
      return disk_.fail_at(1 + random_() % 40, chance(50) ? EIO : ENOSPC, chance(50));
    case 4:
      return check_backup();
    case 5:
      set_full_disk(true);
      return schedule(milliseconds(2'000), {.kind = Event::Kind::space});
    default:
      paused_until_ = now_ + seconds{random_() % 3};
      return;
  }
}

/// Checks that a backup has everything that a client saw, and matches the records, even if the
/// store's newest snapshot is damaged.
void Simulation::check_backup() {
  if (disk_.is_off()) return;        // and the server has not noticed yet
  test::SimulatedDisk disk = disk_;  // a copy, so that the server's is not disturbed
  disk.cut_power_at(0);
  disk.fail_at(0, 0, false);
  disk.limit_space(std::uint64_t{1} << 40U);
  const auto copied = persistence::back_up_store(disk, "store", "copy");
  if (!copied) return fail("no backup: " + copied.error().message);
  disk.restart(test::SimulatedDisk::Survival::nothing, random_);
  core::LockTable found;
  const auto read = persistence::inspect_store(
      disk, "copy",
      [&](persistence::Index, const core::Record& record) { return found.try_apply(record); });
  if (!read) return fail("the backup is refused: " + read.error().message);
  const persistence::Index index = read->summary.last_index;
  if (index < shown_index_) return fail("what was shown is not in the backup");
  std::vector<std::string> records = records_;
  for (const std::string& record : server_->records()) records.push_back(record);
  if (index > records.size()) return fail("the backup has records that nobody wrote");
  Replayed expected;
  if (!replay(records, index, expected)) return fail("a record does not replay");
  if (const char* const what = difference(expected, found)) {
    fail(std::string{"the backup has "} + what);
  }
  ++counts_.backups;
}

/// Damages the newest snapshot if the one before it is valid: then nothing is lost.
void Simulation::damage_newest_snapshot() {
  std::vector<std::string> snapshots;
  for (const std::string& path : disk_.paths()) {
    if (!path.ends_with(".snapshot")) continue;
    if (damaged_.contains(path)) return;
    snapshots.push_back(path);
  }
  if (snapshots.size() < 2) return;
  std::string& bytes = disk_.bytes(snapshots.back());
  bytes[random_() % bytes.size()] ^= static_cast<char>(1U << random_() % 8);
  damaged_.insert(snapshots.back());
  ++counts_.damaged;
}

void Simulation::set_full_disk(bool is_full) {
  has_full_disk_ = is_full;
  disk_.limit_space(is_full ? 0 : std::uint64_t{1} << 40U);
}

void Simulation::crash(bool with_power_cut) {
  ++(with_power_cut ? counts_.power_cuts : counts_.crashes);
  for (const std::string& record : server_->records()) records_.push_back(record);
  server_.reset();  // leaves the disk off
  bool cuts_power = with_power_cut;
  do {
    if (cuts_power) {
      disk_.restart(static_cast<test::SimulatedDisk::Survival>(random_() % 4), random_);
    } else {
      disk_.restart_process();
    }
    if (chance(20)) damage_newest_snapshot();
    set_full_disk(false);
    if (now_ < faults_until && chance(20)) disk_.cut_power_at(1 + random_() % 30);
    clock_error_ = static_cast<std::int64_t>(random_() % 2'000'000'000) - 1'000'000'000;
    start_server();
    cuts_power = durability_ == Durability::always;
  } while (server_ == nullptr && failure_.empty());
}

void Simulation::start_server() {
  ++life_;
  server_started_ = now_;
  const auto send = [this](Reply&& reply) {
    shown_index_ = std::max(shown_index_, reply.index);
    if (chance(loss_)) return;
    const std::uint64_t number = ++last_number_;
    replies_.emplace(number, std::move(reply));
    schedule(milliseconds(20), {.kind = Event::Kind::reply, .number = number});
  };
  auto server = std::make_unique<SimulatedServer>(disk_, durability_, random_, send);
  if (const auto refused = server->open(server_now().wall)) {
    if (!disk_.is_off()) fail("the store is refused: " + refused->message);
    return;
  }
  server_ = std::move(server);
  check_recovered();
}

/// Checks that the recovered state matches the records, and has at least what anybody saw.
void Simulation::check_recovered() {
  const persistence::Index found = server_->recovered().last_index;
  if (found < shown_index_) {
    return fail("index " + std::to_string(shown_index_) + " was shown, and only " +
                std::to_string(found) + " is left");
  }
  if (found > records_.size()) return fail("there are records that nobody wrote");
  counts_.lost_records += records_.size() - found;
  records_.resize(found);
  Replayed again;
  if (!replay(records_, found, again)) return fail("a record does not replay");
  const core::LockTable& table = server_->arbiter().table();
  if (const char* const what = difference(again, table)) {
    fail(std::string{"recovery gives "} + what);
  }
  promises_.check_released(table);
}

void Simulation::check() {
  if (!failure_.empty()) return;
  if (!promises_.broken().empty()) return fail(promises_.broken());
  if (!server_->unfairness().empty()) return fail(server_->unfairness());
  promises_.check_held(server_->arbiter().table(), now_);
  if (!promises_.broken().empty()) fail(promises_.broken());
}

void Simulation::sleep(Client& client, core::Duration delay) {
  schedule(delay,
           {.kind = Event::Kind::client, .client = client.number, .number = ++client.generation});
}

void Simulation::wake(Client& client) {
  if (client.is_dead) return;
  if (client.pending) return send_again(client);
  if (!client.held.empty()) return act_as_holder(client);
  if (winds_down_) return;
  if (client.has_lease && chance(50)) return forget_lease(client);
  if (chance(3)) {
    Request request;
    request.kind = Request::Kind::force;
    request.packed_path = random_path();
    return send(client, std::move(request));
  }
  begin_acquire(client);
}

std::string Simulation::random_path() {
  core::Path path;
  for (std::size_t depth = random_() % 4; depth > 0; --depth) {
    const std::string name(1, static_cast<char>('a' + random_() % names_));
    static_cast<void>(path.push_back(name));
  }
  return std::string{path.view().packed()};
}

core::AcquireCommand Simulation::random_acquire(const Client& client) {
  core::AcquireCommand command;
  const std::size_t count = chance(several_) ? 2 + random_() % 2 : 1;
  while (command.wanted.size() < count && random_() % 8 != 0) {
    core::Wanted wanted{
        random_path(),
        {chance(70) ? core::Mode::exclusive : core::Mode::shared, chance(80), chance(80)}};
    const auto is_same = [&](const auto& other) { return other.packed_path == wanted.packed_path; };
    if (std::any_of(command.wanted.begin(), command.wanted.end(), is_same) ||
        std::any_of(client.held.begin(), client.held.end(), is_same)) {
      continue;
    }
    command.wanted.push_back(std::move(wanted));
  }
  if (command.wanted.size() > 1 && chance(40)) command.any = 1;
  command.token = command.fresh_token = client.token;
  command.ttl = client.ttl;
  if (chance(10)) command.lock_delay = core::Milliseconds{100 + random_() % 500};
  if (chance(10)) command.meta = std::string(random_() % 300, 'm');
  if (chance(waiting_)) command.wait = milliseconds(1'000);
  return command;
}

void Simulation::begin_acquire(Client& client) {
  if (!client.has_lease) {
    choose_token(client);
    if (client.ttl.count() != 0 && chance(10)) {
      Request request;
      request.kind = Request::Kind::open_lease;
      request.token = client.token;
      request.ttl = client.ttl;
      return send(client, std::move(request));
    }
  }
  Request request;
  request.kind = Request::Kind::acquire;
  request.token = client.token;
  request.acquire = random_acquire(client);
  if (request.acquire.wanted.empty()) return sleep(client, milliseconds(20));
  send(client, std::move(request));
}

/// Chooses a token for another lease.
void Simulation::choose_token(Client& client) {
  if (client.can_use_token_again && chance(50)) {
    ++counts_.tokens_again;
  } else {
    for (std::uint8_t& byte : client.token.bytes) byte = static_cast<std::uint8_t>(random_());
  }
  client.can_use_token_again = false;
  // A client that may die or give up needs a TTL, or its locks stay for ever.
  client.ttl = chance(10) ? core::Milliseconds{0} : random_ttl();
}

void Simulation::act_as_holder(Client& client) {
  if (client.ttl.count() != 0 && !promises_.holds(client.token)) return forget_lease(client);
  Request request;
  request.token = client.token;
  const auto dice = random_() % 100;
  if (!winds_down_ && client.ttl.count() != 0 && chance(death_)) {
    client.is_dead = true;
    return;
  }
  if (!winds_down_ && dice < 10) return begin_acquire(client);
  if (!winds_down_ && dice < 50) {
    request.kind = Request::Kind::renew;
    if (chance(20)) {
      ++counts_.other_ttls;
      request.ttl = random_ttl();
      promises_.on_renewal_sent(client.token,
                                now_ + std::chrono::milliseconds{request.ttl.count()});
    }
  } else if (dice < 75) {
    request.kind = Request::Kind::release;
    request.packed_path = client.held[random_() % client.held.size()].packed_path;
    promises_.on_release_sent(client.token, &request.packed_path);
  } else {
    return release_all(client);
  }
  send(client, std::move(request));
}

void Simulation::release_all(Client& client) {
  Request request;
  request.token = client.token;
  request.kind = Request::Kind::release_all;
  promises_.on_release_sent(client.token, nullptr);
  send(client, std::move(request));
}

void Simulation::send(Client& client, Request request) {
  client.pending = Pending{std::move(request), {}, promises_.highest_fence(), true, 0};
  client.pending->is_first = true;
  send_again(client);
}

void Simulation::send_again(Client& client) {
  Pending& pending = *client.pending;
  if (pending.attempts > 0) {
    if (chance(70)) {
      schedule(milliseconds(50),
               {.kind = Event::Kind::disconnect, .number = pending.request.number});
    }
    const bool can_give_up = client.ttl.count() != 0;
    if (can_give_up && (pending.attempts > 5 || chance(10))) return forget_lease(client);
  }
  pending.is_first = pending.attempts == 0;
  ++pending.attempts;
  pending.request.number = ++last_number_;
  pending.sent = now_;
  senders_[pending.request.number] = client.number;
  if (!chance(loss_)) {
    requests_.emplace(pending.request.number, pending.request);
    schedule(milliseconds(20), {.kind = Event::Kind::request, .number = pending.request.number});
  }
  sleep(client, pending.request.acquire.wait + std::chrono::milliseconds{100 + random_() % 200});
}

void Simulation::forget_lease(Client& client) {
  client.pending.reset();
  client.held.clear();
  client.has_lease = client.has_opened = client.can_use_token_again = false;
  sleep(client, milliseconds(100));
}

void Simulation::on_reply(const Reply& reply) {
  const auto sender = senders_.find(reply.request);
  if (sender == senders_.end()) return;
  Client& client = clients_[sender->second];
  senders_.erase(sender);
  if (client.is_dead || !client.pending || client.pending->request.number != reply.request) return;
  const Pending pending = *client.pending;
  note(reply.request * 31 + reply.index);
  if (const auto* const acquired = std::get_if<core::Acquired>(&reply.answer)) {
    if (acquired->outcome == core::Outcome::busy) ++counts_.put_off;
    if (acquired->outcome == core::Outcome::disk_full) ++counts_.without_room;
  }
  read_reply(client, pending, reply);
}

void Simulation::read_reply(Client& client, const Pending& pending, const Reply& reply) {
  const auto done = [&] {
    client.pending.reset();
    sleep(client, milliseconds(client.held.empty() ? 50 : 200));
  };
  const auto until = [&](core::Milliseconds ttl) {
    return ttl.count() == 0 ? Instant::max()
                            : pending.sent + std::chrono::milliseconds{ttl.count()};
  };
  if (const auto* const acquired = std::get_if<core::Acquired>(&reply.answer)) {
    switch (acquired->outcome) {
      case core::Outcome::granted:
      case core::Outcome::held_already: {
        ++counts_.grants;
        if (acquired->waited.count() > 0) ++counts_.waits;
        const bool is_fresh = acquired->outcome == core::Outcome::granted;
        promises_.on_granted(client.token, acquired->locks, acquired->fence,
                             is_fresh && pending.is_first ? pending.floor : 0, until(acquired->ttl),
                             now_);
        client.has_lease = true;
        for (const auto& lock : acquired->locks) client.held.push_back(lock);
        break;
      }
      case core::Outcome::lease_ended:
        promises_.on_lease_ended(client.token, now_);
        return forget_lease(client);
      case core::Outcome::token_in_use:
        // Half of the grant may have been forced; otherwise it is the client's own.
        if (!promises_.has_forced()) fail("a token is said to be in use by somebody else");
        return release_all(client);
      case core::Outcome::superseded:
        return;  // of an abandoned attempt
      default:
        break;
    }
    return done();
  }
  if (const auto* const released = std::get_if<core::Released>(&reply.answer)) {
    using Outcome = core::ReleaseOutcome;
    if (released->outcome == Outcome::busy || released->outcome == Outcome::disk_full) return;
    const bool is_gone = released->outcome == Outcome::released ||
                         released->outcome == Outcome::released_before ||
                         released->outcome == Outcome::left;
    const bool is_one = pending.request.kind == Request::Kind::release;
    std::erase_if(client.held, [&](const auto& lock) {
      if (is_one && lock.packed_path != pending.request.packed_path) return false;
      if (is_gone) promises_.on_released(client.token, lock.packed_path);
      return true;
    });
    if (!client.held.empty()) return done();
    const bool has_ended = is_gone && !(is_one && client.has_opened);
    forget_lease(client);
    client.can_use_token_again = has_ended;
    return;
  }
  if (const auto* const lease = std::get_if<core::LeaseAnswer>(&reply.answer)) {
    using Outcome = core::LeaseOutcome;
    if (lease->outcome == Outcome::living || lease->outcome == Outcome::opened) {
      client.has_lease = true;
      client.has_opened |= pending.request.kind == Request::Kind::open_lease;
      client.ttl = lease->ttl;
      promises_.on_renewed(client.token, until(lease->ttl));
    } else if (lease->outcome == Outcome::ended || lease->outcome == Outcome::unknown) {
      promises_.on_lease_ended(client.token, now_);
      return forget_lease(client);
    } else if (lease->outcome == Outcome::in_use) {
      fail("a token of an opened lease is said to be in use by somebody else");
    }
  }
  done();
}

}  // namespace locker::simulation
