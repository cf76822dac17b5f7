#include "tests/simulation/simulated_server.hpp"

#include <algorithm>
#include <utility>

namespace locker::simulation {

using core::Arbiter;

bool clash(const core::Wanted& a, const core::Wanted& b) {
  if (a.shape.mode == core::Mode::shared && b.shape.mode == core::Mode::shared) return false;
  if (a.packed_path == b.packed_path) return true;
  // The packed form begins each segment with its length, so a prefix is an ancestor.
  if (b.packed_path.starts_with(a.packed_path)) {
    return a.shape.lock_children || b.shape.lock_parents;
  }
  if (a.packed_path.starts_with(b.packed_path)) {
    return a.shape.lock_parents || b.shape.lock_children;
  }
  return false;
}

class SimulatedServer::WatchedJournal final : public persistence::Journal {
 public:
  WatchedJournal(SimulatedServer& server, persistence::Journal& journal)
      : server_(server), journal_(journal) {}
  persistence::Result<void> append(std::string_view records, std::uint32_t count) override {
    server_.send_ready();
    return journal_.append(records, count);
  }
  core::Room room_for(std::size_t bytes, bool reserved, std::size_t ends) const override {
    return journal_.room_for(bytes, reserved, ends);
  }

 private:
  SimulatedServer& server_;
  persistence::Journal& journal_;
};

SimulatedServer::SimulatedServer(test::SimulatedDisk& disk, persistence::Durability durability,
                                 std::mt19937_64& random, Send send)
    : disk_(disk), durability_(durability), random_(random), send_(std::move(send)) {}

SimulatedServer::~SimulatedServer() {
  disk_.cut_power_at(1);  // a killed process does not sync at exit
}

std::optional<persistence::OpenFault> SimulatedServer::open(core::Fence wall) {
  const auto start_over = [this] {
    arbiter_ = std::make_unique<Arbiter>(random_(), Arbiter::Limits{});
  };
  start_over();
  persistence::LocalJournal::Options options;
  options.directory = "store";
  options.durability = durability_;
  options.segment_bytes = persistence::segment_bytes_min;
  options.random_number = [this] { return random_(); };
  options.on_warning = [](std::string_view) {};
  options.on_failure = [](const core::Fault&) {};  // called by the destructor when the disk is off
  options.background = false;
  auto journal = persistence::LocalJournal::open(
      disk_, options,
      {[this](persistence::Index, const core::Record& record) { return arbiter_->replay(record); },
       start_over},
      recovered_);
  if (!journal) return journal.error();
  journal_ = std::move(*journal);
  watched_ = std::make_unique<WatchedJournal>(*this, *journal_);
  commit_ = std::make_unique<server::GroupCommit>(
      *watched_, recovered_.last_index,
      [](const core::Fault& fault) { throw Died{fault.message}; });
  arbiter_->start(*this, std::max(recovered_.last_fence + 1, wall));
  return std::nullopt;
}

void SimulatedServer::on_record(const core::Record& record) {
  commit_->add(record);
  core::append_record(record, records_.emplace_back());
}

void SimulatedServer::on_decided(core::WaiterId waiter, core::Acquired&& acquired) {
  const auto at = queued_.find(waiter);
  const Queued queued = at->second;
  queued_.erase(at);
  if (acquired.outcome == core::Outcome::granted) granted_.push_back({queued, acquired.locks});
  answer({queued.request, commit_->last_index(), std::move(acquired)});
}

core::Room SimulatedServer::room_for(std::size_t bytes, bool reserved) const {
  const std::size_t ends = arbiter_->table().ends_max();
  return journal_->room_beside(commit_->pending_bytes(), bytes, reserved, ends);
}

bool SimulatedServer::has_locks(const core::Token& token) const {
  const auto lease = arbiter_->table().find_lease_of(token);
  return lease && lease->has_locks;
}

/// Returns the ticket of the place in the queue to which the client returns; for others, one after
/// all tickets.
core::Ticket SimulatedServer::kept_ticket(const Request& request) const {
  core::Ticket ticket = ~core::Ticket{0};
  const auto is_same = [](const core::Wanted& a, const core::Wanted& b) {
    return a.packed_path == b.packed_path && a.shape == b.shape;
  };
  arbiter_->for_each_waiter(0, [&](const core::Waiter& waiter) {
    if (waiter.token == request.token &&
        std::equal(waiter.wanted.begin(), waiter.wanted.end(), request.acquire.wanted.begin(),
                   request.acquire.wanted.end(), is_same)) {
      ticket = waiter.ticket;
    }
    return true;
  });
  return ticket;
}

void SimulatedServer::acquire(const Request& request, const core::Now& now) {
  const bool had_locks = has_locks(request.token);
  const core::Ticket ticket = kept_ticket(request);
  core::Acquired acquired = arbiter_->acquire(request.acquire, now);
  if (acquired.outcome == core::Outcome::queued) {
    Queued& queued = queued_[acquired.waiter];
    queued = {request.number, 0, request.token, had_locks};
    arbiter_->for_each_waiter(0, [&](const core::Waiter& waiter) {
      if (waiter.id == acquired.waiter) queued.ticket = waiter.ticket;
      return queued.ticket == 0;
    });
    return;
  }
  if (acquired.outcome == core::Outcome::granted) {
    granted_.push_back({{request.number, ticket, request.token, had_locks}, acquired.locks});
  }
  answer({request.number, commit_->last_index(), std::move(acquired)});
}

void SimulatedServer::handle(const Request& request, const core::Now& now) {
  const auto reply = [&](auto answered) {
    answer({request.number, commit_->last_index(), std::move(answered)});
  };
  switch (request.kind) {
    case Request::Kind::acquire:
      acquire(request, now);
      break;
    case Request::Kind::release:
      reply(arbiter_->release(request.token, core::PathView{request.packed_path}, now));
      break;
    case Request::Kind::release_all:
      reply(arbiter_->release_all(request.token, now));
      break;
    case Request::Kind::open_lease:
      reply(arbiter_->open_lease(request.token, request.token, {}, request.ttl, now));
      break;
    case Request::Kind::renew: {
      std::optional<core::Milliseconds> ttl;
      if (request.ttl.count() != 0) ttl = request.ttl;
      reply(arbiter_->renew(request.token, ttl, now));
      break;
    }
    case Request::Kind::force: {
      core::ForceFilter filter;
      filter.packed_path = request.packed_path;
      reply(arbiter_->force(filter, "simulated", now));
      break;
    }
    case Request::Kind::look:
      reply(std::monostate{});
      break;
  }
  advance(now);
}

void SimulatedServer::disconnect(std::uint64_t request, const core::Now& now) {
  const auto at = std::find_if(queued_.begin(), queued_.end(), [&](const auto& queued) {
    return queued.second.request == request;
  });
  if (at == queued_.end()) return;
  const core::WaiterId waiter = at->first;
  queued_.erase(at);
  arbiter_->abandon(waiter, now);
  advance(now);
}

void SimulatedServer::advance(const core::Now& now) {
  while (arbiter_->advance(now, 1 + random_() % 4)) {
  }
  check_order();
  send_ready();
}

/// Checks that nobody who waited longer for a granted lock is still waiting. A lease that already
/// held something is exempt: it may overtake those who wait for that.
void SimulatedServer::check_order() {
  for (const GrantedLater& grant : std::exchange(granted_, {})) {
    if (grant.queued.had_locks) continue;
    arbiter_->for_each_waiter(0, [&](const core::Waiter& waiter) {
      if (waiter.ticket >= grant.queued.ticket) return false;
      if (waiter.is_kept || waiter.token == grant.queued.token) return true;
      for (const auto& wanted : waiter.wanted) {
        for (const auto& lock : grant.locks) {
          if (clash(wanted, lock)) {
            unfairness_ = "request " + std::to_string(grant.queued.request) +
                          " was granted before a waiter with ticket " +
                          std::to_string(waiter.ticket);
          }
        }
      }
      return true;
    });
  }
}

void SimulatedServer::commit() {
  while (commit_->commit()) {
  }
  send_ready();
}

void SimulatedServer::run_background() {
  if (auto done = journal_->run_background(); !done) throw Died{done.error().message};
}

void SimulatedServer::answer(Reply reply) { replies_.push_back(std::move(reply)); }

void SimulatedServer::send_ready() {
  while (!replies_.empty() && commit_->is_durable(replies_.front().index)) {
    Reply reply = std::move(replies_.front());
    replies_.pop_front();
    send_(std::move(reply));
  }
}

}  // namespace locker::simulation
